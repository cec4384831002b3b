// How much of a small picture has a colour, by the distance of its pixels in OKLab.

const SIDE = 32;
const NEAR = 0.08;

const pictures = new Map();

/** Share of the pixels of a picture that look like a colour, 0 … 1; 0 where the picture cannot be loaded. */
export async function shareOf(url, hex) {
  if (!pictures.has(url)) pictures.set(url, pixelsOf(url));
  const pixels = await pictures.get(url);
  const [L, a, b] = oklab(...[1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16)));
  const near = pixels.filter((own) => Math.hypot(own[0] - L, own[1] - a, own[2] - b) < NEAR);
  return pixels.length ? near.length / pixels.length : 0;
}

async function pixelsOf(url) {
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } catch {
    pictures.delete(url);
    return [];
  }
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return Array.from({ length: SIDE * SIDE }, (_, place) => oklab(...data.subarray(4 * place, 4 * place + 3)));
}

// Ottosson 2020, "A perceptual color space for image processing".
function oklab(red, green, blue) {
  const [r, g, b] = [red, green, blue].map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}
