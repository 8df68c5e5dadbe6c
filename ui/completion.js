// Completion while typing: a listbox over the question box. The box keeps the focus; Enter sends unless a row is chosen.
const suggestions = { list: null, start: [], asked: null, timer: 0, off: false };
const typing = (event) => event.target instanceof HTMLTextAreaElement && event.target.closest('#question') ? event.target : null;

function suggestionList() {
  if (suggestions.list?.isConnected) return suggestions.list;
  suggestions.list = Object.assign(document.createElement('ul'), { id: 'suggestions', hidden: true });
  suggestions.list.setAttribute('role', 'listbox');
  document.querySelector('#question-row').append(suggestions.list);
  const box = document.querySelector('#question textarea');
  for (const [name, value] of [['role', 'combobox'], ['aria-autocomplete', 'list'], ['aria-controls', 'suggestions'], ['autocomplete', 'off']]) box.setAttribute(name, value);
  return suggestions.list;
}

function hideSuggestions(box) {
  clearTimeout(suggestions.timer);
  suggestions.asked?.abort();
  suggestionList().hidden = true;
  box.setAttribute('aria-expanded', 'false');
  box.removeAttribute('aria-activedescendant');
}

function choose(box, row) {
  suggestionList().querySelector('[aria-selected=true]')?.setAttribute('aria-selected', 'false');
  if (!row) return box.removeAttribute('aria-activedescendant');
  row.setAttribute('aria-selected', 'true');
  box.setAttribute('aria-activedescendant', row.id);
  row.scrollIntoView({ block: 'nearest' });
}

function accept(box, row) {
  box.setRangeText(row.dataset.text, Number(row.dataset.start), box.selectionEnd, 'end');
  suggestions.off = true;
  box.dispatchEvent(new Event('input', { bubbles: true }));
  suggestions.off = false;
  hideSuggestions(box);
}

function showSuggestions(box, answer) {
  const list = suggestionList();
  list.setAttribute('aria-label', answer.label);
  list.replaceChildren(...answer.items.map((item, at) => {
    const row = Object.assign(document.createElement('li'), { id: `suggestion-${at}` });
    row.setAttribute('role', 'option');
    row.setAttribute('aria-selected', 'false');
    Object.assign(row.dataset, { text: item.text, start: item.start });
    row.append(
      Object.assign(document.createElement('span'), { textContent: item.text }),
      Object.assign(document.createElement('small'), { textContent: item.note }),
    );
    return row;
  }));
  list.hidden = !answer.items.length;
  box.setAttribute('aria-expanded', String(!list.hidden));
  choose(box, null);
}

async function suggest(box) {
  const typed = box.value.slice(0, box.selectionEnd);
  suggestions.asked?.abort();
  if (!typed.trim() || box.selectionEnd !== box.selectionStart) return hideSuggestions(box);
  suggestions.asked = new AbortController();
  try {
    const response = await fetch('/complete', {
      method: 'POST', headers: { 'content-type': 'application/json' }, signal: suggestions.asked.signal,
      body: JSON.stringify({ typed, language: document.documentElement.lang }),
    });
    if (response.ok && document.activeElement === box && box.value.startsWith(typed)) showSuggestions(box, await response.json());
  } catch (problem) {
    if (problem.name !== 'AbortError') hideSuggestions(box);
  }
}

document.addEventListener('input', (event) => {
  const box = typing(event);
  if (!box || event.isComposing || suggestions.off) return;
  clearTimeout(suggestions.timer);
  suggestions.timer = setTimeout(suggest, 60, box);
});
document.addEventListener('compositionend', (event) => typing(event) && suggest(typing(event)));
document.addEventListener('focusout', (event) => typing(event) && hideSuggestions(typing(event)));
document.addEventListener('mousedown', (event) => {
  const row = within(event, '#suggestions [role=option]');
  if (!row) return;
  event.preventDefault();
  accept(document.querySelector('#question textarea'), row);
});
document.addEventListener('keydown', (event) => {
  const box = typing(event);
  if (!box || event.isComposing) return;
  const rows = [...suggestionList().children], at = rows.findIndex((row) => row.getAttribute('aria-selected') === 'true');
  const open = !suggestionList().hidden, plain = !event.shiftKey && !event.ctrlKey && !event.altKey && !event.metaKey;
  if (open && plain && event.key === 'ArrowDown') choose(box, rows[(at + 1) % rows.length]);
  else if (open && plain && event.key === 'ArrowUp') choose(box, rows[(at < 0 ? rows.length : at) - 1] ?? null);
  else if (open && plain && event.key === 'Enter' && at >= 0) accept(box, rows[at]);
  else if (open && plain && event.key === 'Tab') accept(box, rows[Math.max(at, 0)]);
  else if (open && event.key === 'Escape') hideSuggestions(box);
  else {
    if (event.key === 'Enter') hideSuggestions(box);
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}, true);
