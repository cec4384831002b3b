// Which part of a photo a frame of another shape shows: as much as fits, around an object where there is one.

const WHOLE = [0, 0, 1, 1];

/** The part, [x0, y0, x1, y1], shares of the photo; `frame` has width and height. */
export function cropOf({ size, box }, frame) {
  if (!size) return WHOLE;
  const ratio = size[0] / size[1] / (frame.width / frame.height);
  const [x0, y0, x1, y1] = box ?? WHOLE;
  const [left, right] = side((x0 + x1) / 2, Math.min(1, 1 / ratio));
  const [top, bottom] = side((y0 + y1) / 2, Math.min(1, ratio));
  return [left, top, right, bottom];
}

/** Where a picture lies in its frame, as `object-position` has it. */
export function positionOf([x0, y0, x1, y1]) {
  return [[x0, x1], [y0, y1]].map(([from, to]) => percentage(to - from < 1 ? from / (1 - (to - from)) : 0.5)).join(" ");
}

/** A box of the photo as [x, y, width, height] of the frame, percent. */
export function within([x0, y0, x1, y1], [left, top, right, bottom]) {
  const [wide, high] = [right - left, bottom - top];
  return [(x0 - left) / wide, (y0 - top) / high, (x1 - x0) / wide, (y1 - y0) / high].map(percentage);
}

function side(middle, length) {
  const from = Math.min(Math.max(middle - length / 2, 0), 1 - length);
  return [from, from + length];
}

function percentage(share) {
  return `${(100 * share).toFixed(2)}%`;
}
