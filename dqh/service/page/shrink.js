// Photos that are made smaller before they are sent: a telephone's has ten megabytes, of which a search needs little.

const SIDE = 2048;
const BYTES = 2 * 2 ** 20;

/**
 * A photo as it is sent: itself, where it is small; else a JPEG of at most 2,048 pixels a side, upright and without what
 * cameras write beside the picture.
 *
 * @param {Blob} image that somebody chose.
 * @param {object} limits of the service: `body_bytes`, `pixels`.
 * @returns {Promise<Blob>} the same where the browser cannot read it: the service may.
 */
export async function sendable(image, limits) {
  const most = Math.min(BYTES, limits.body_bytes);
  let bitmap;
  try {
    bitmap = await createImageBitmap(image, { imageOrientation: "from-image" });
  } catch {
    return image;
  }
  const isSmall = image.size <= most && bitmap.width * bitmap.height <= limits.pixels;
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  if (isSmall) {
    bitmap.close();
    return image;
  }
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // what is transparent; JPEG has no such thing
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob((smaller) => resolve(smaller ?? image), "image/jpeg", 0.92));
}
