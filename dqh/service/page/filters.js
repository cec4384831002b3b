// Which answers are shown: what the service filters by a `where`, and what the page does itself.

const SHARE = 0.12;

/** A filter of the service for the words that are labels or kinds of objects; null for none. */
export function where(words, known, among) {
  const parts = words.flatMap((word) => {
    if (Object.hasOwn(known.labels, word)) return [`label = ${quoted(word)}`];
    if (among === "objects" && known.detector_classes.includes(word)) return [`object = ${quoted(word)}`];
    return [];
  });
  return parts.length ? parts.join(" and ") : null;
}

/** A text of a filter. */
export function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The answers that have all words, and enough of the colour by `shares`, which knows it of answers by their ids. */
export function kept(results, words, shares) {
  return results.filter(
    (result) => words.every((word) => has(result, word)) && (!shares || (shares.get(result.id) ?? 0) >= SHARE),
  );
}

function has(result, word) {
  const named = result.named ?? [];
  return (
    result.labels.includes(word) ||
    result.object === word ||
    result.tags.some((tag) => tag.word === word) ||
    named.some((naming) => naming.words.includes(word))
  );
}
