// Runs once in the conversation's element. Gradio gives `element`, `props`, `trigger` and `watch`.
// The server sends one turn at a time as {conversation, turn, html, busy, status, language}; earlier turns stay as they
// are, with what their reader opened or sorted. A conversation that is opened comes whole, as {turns: [{turn, html}]}.
const thread = element.querySelector('.thread');
const status = element.querySelector('[role=status]');
const within = (event, selector) => event.target instanceof Element && event.target.closest(selector);

const numbered = (turn) => thread.querySelector(`[data-turn="${turn}"]`);

function put(turn, shown) {
  let section = numbered(turn);
  if (!section) {
    section = document.createElement('section');
    section.dataset.turn = turn;
    turn === 0 ? thread.prepend(section) : thread.append(section);
  }
  section.innerHTML = shown;
  return section;
}

function show() {
  const sent = props.value;
  if (!sent) return;
  if (thread.dataset.conversation !== sent.conversation || sent.turns) {
    thread.replaceChildren();
    thread.dataset.conversation = sent.conversation;
  }
  if (sent.drop) thread.querySelectorAll('[data-turn]').forEach((later) => Number(later.dataset.turn) > sent.turn && later.remove());
  const isNew = !numbered(sent.turn);
  let section;
  for (const { turn, html } of sent.turns ?? [sent]) section = put(turn, html);
  if (sent.turn > 0 || thread.children.length === 1) {
    thread.toggleAttribute('data-busy', sent.busy);
    thread.removeAttribute('data-sending');
  }
  thread.toggleAttribute('data-started', !!thread.querySelector('[data-turn]:not([data-turn="0"])'));
  document.documentElement.lang = sent.language;
  document.title = sent.title;
  if (status.textContent !== sent.status) status.textContent = sent.status;
  document.body.dataset.ready = '';
  if (sent.turn > 0 && (isNew || !sent.busy)) section.scrollIntoView({ block: 'start' });
  document.dispatchEvent(new CustomEvent('wenshu:shown', { detail: sent }));
}

function order(button) {
  const head = button.closest('th'), body = head.closest('table').tBodies[0], at = head.cellIndex;
  const descending = head.getAttribute('aria-sort') === 'ascending' || (!head.hasAttribute('aria-sort') && button.dataset.sort === 'number');
  const key = (row) => row.cells[at].dataset.key;
  const compare = (a, b) => button.dataset.sort === 'number' ? Number(a) - Number(b) : a.localeCompare(b, document.documentElement.lang, { numeric: true });
  const known = [...body.rows].filter((row) => key(row) !== undefined);
  const unknown = [...body.rows].filter((row) => key(row) === undefined);
  known.sort((a, b) => compare(key(a), key(b)) * (descending ? -1 : 1));
  head.parentElement.querySelectorAll('th').forEach((other) => other.removeAttribute('aria-sort'));
  head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
  body.append(...known, ...unknown);
}

function enlarge(button) {
  const dialog = document.createElement('dialog');
  const close = Object.assign(document.createElement('button'), { type: 'button', className: 'close', textContent: '×' });
  close.setAttribute('aria-label', button.dataset.zoom);
  dialog.className = 'lightbox';
  dialog.append(close, button.querySelector('img').cloneNode());
  dialog.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => { dialog.remove(); button.focus(); });
  element.append(dialog);
  dialog.showModal();
}

function save(button) {
  const link = document.createElement('a');
  link.href = button.closest('figure').querySelector('img').src;
  link.download = button.dataset.save;
  link.click();
}

function copy(button) {
  const label = button.textContent, text = button.closest('.sql').querySelector('code').textContent;
  navigator.clipboard.writeText(text).then(() => {
    button.textContent = button.dataset.copy;
    setTimeout(() => { button.textContent = label; }, 1500);
  }, () => getSelection().selectAllChildren(button.closest('.sql').querySelector('code')));
}

element.addEventListener('click', (event) => {
  let button;
  if ((button = within(event, '[data-ask]'))) {
    if (!isBusy()) ask(button.dataset.ask);
  } else if ((button = within(event, '[data-sort]'))) order(button);
  else if ((button = within(event, '[data-zoom]'))) enlarge(button);
  else if ((button = within(event, '[data-save]'))) save(button);
  else if ((button = within(event, '[data-copy]'))) copy(button);
});

watch('value', show);
show();
