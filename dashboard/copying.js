// Copying with a word about it, also where the browser does not let a page write to the clipboard.

/** Copy what *node* (a field or an element) shows; returns the words that say how it went. */
export async function copy(node) {
  const field = "value" in node;
  try {
    await navigator.clipboard.writeText(field ? node.value : node.textContent); // only with TLS, or on localhost
    return "Copied.";
  } catch {
    node.focus();
    if (field) node.select();
    else getSelection().selectAllChildren(node);
    return "Selected: copy it with the keyboard or the menu.";
  }
}
