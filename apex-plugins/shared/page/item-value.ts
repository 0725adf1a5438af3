/** An item's value as session state holds it: a list joined by the item's separator. */

/** Items that take several values have a separator of their own since 23.2; before it is a colon. */
function separatorOf({ node, getSeparator }: ApexItem): string {
  const told = getSeparator?.();
  if (told) return told;
  if (!node) return ":";
  return node.getAttribute("multi-value-separator") || ":";
}

export function itemText(item: ApexItem): string {
  const value = item.getValue();
  return Array.isArray(value) ? value.join(separatorOf(item)) : String(value ?? "");
}
