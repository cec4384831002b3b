// Boxes as the service has them: [x0, y0, x1, y1], shares of the upright image, 0 … 1.

const LEAST = 0.02;

/** The box between two corners, within the image. */
export function between([ax, ay], [bx, by]) {
  const [x0, x1] = [clamp(Math.min(ax, bx)), clamp(Math.max(ax, bx))];
  const [y0, y1] = [clamp(Math.min(ay, by)), clamp(Math.max(ay, by))];
  return [x0, y0, x1, y1];
}

/** Whether a box is large enough to be one. */
export function isEnough([x0, y0, x1, y1]) {
  return x1 - x0 >= LEAST && y1 - y0 >= LEAST;
}

/** A box moved as far as the image allows. */
export function moved([x0, y0, x1, y1], dx, dy) {
  const x = Math.min(Math.max(dx, -x0), 1 - x1);
  const y = Math.min(Math.max(dy, -y0), 1 - y1);
  return [x0 + x, y0 + y, x1 + x, y1 + y];
}

/** A box with one corner elsewhere; `corner` has 0 or 1 for left or right, top or bottom. */
export function stretched([x0, y0, x1, y1], [right, bottom], dx, dy) {
  return [
    right ? x0 : Math.min(clamp(x0 + dx), x1 - LEAST),
    bottom ? y0 : Math.min(clamp(y0 + dy), y1 - LEAST),
    right ? Math.max(clamp(x1 + dx), x0 + LEAST) : x1,
    bottom ? Math.max(clamp(y1 + dy), y0 + LEAST) : y1,
  ];
}

/** A box as a parameter. */
export function written(numbers) {
  return numbers.map((number) => String(Math.round(number * 1e4) / 1e4)).join(",");
}

/** `count` shares from a parameter; null where it has none that make sense. */
export function parsed(text, count) {
  const numbers = (text ?? "").split(",").map(Number);
  if (numbers.length !== count || numbers.some((number) => !(number >= 0 && number <= 1))) return null;
  if (count === 4 && !isEnough(numbers)) return null;
  return numbers;
}

function clamp(number) {
  return Math.min(Math.max(number, 0), 1);
}
