// Asking: one question at a time and one that waits, and what happens when the server does not answer. Used by desk.js and page.js.
const look = () => [document.body.matches('.dark') && 'dark', innerWidth <= 640 && 'narrow'].filter(Boolean).join(' ');

// Everything that is asked goes through here: one question at a time, and one that waits until that is answered.

const isBusy = () => thread.hasAttribute('data-busy') || thread.hasAttribute('data-sending');

function ask(text, more = {}) {
  if (panel.open) panel.close();
  drawer(false);
  desk.sent = { text, more };
  if (isBusy()) return hold(desk.sent);
  thread.toggleAttribute('data-sending', true);
  trigger('submit', { text, ...more });
  watchServer();
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const reachable = () => fetch('/healthz', { cache: 'no-store' }).then((response) => response.ok, () => false);

async function watchServer() {
  while (isBusy()) {
    await pause(2000);
    if (isBusy() && !(await reachable())) return disconnected();
  }
}

// The server is gone: give the words back, and come back to this conversation when it answers again.
async function disconnected() {
  if (desk.gone) return;
  desk.gone = true;
  giveUp();
  banner(desk.words.gone);
  do await pause(1500); while (!(await reachable()));
  sessionStorage.setItem('wenshu.draft', box().value);
  location.reload();
}

function send() {
  if (desk.gone) return;
  const text = box().value.trim(), more = desk.editing === null ? {} : { at: desk.editing };
  if (!text) return;
  endEdit();
  setBox('');
  ask(text, more);
}

function hold(question) {
  desk.held = question;
  const take = make('button', { type: 'button', class: 'tool' }, desk.words.takeBack);
  take.addEventListener('click', release);
  banner(desk.words.held.replace('{}', question.text), take);
}

// Give the words that wait back to who wrote them.
function release() {
  if (!desk.held) return;
  const { text } = desk.held;
  desk.held = null;
  banner();
  setBox(text);
  box().focus();
}

function banner(text, ...tools) {
  document.querySelector('#banner')?.remove();
  if (text) document.querySelector('#question-row').before(make('div', { id: 'banner', role: 'status' }, make('span', {}, text), ...tools));
}

function turnIsOver() {
  if (!desk.held) return;
  const { text, more } = desk.held;
  desk.held = null;
  banner();
  ask(text, more);
}

function giveUp() {
  if (!isBusy()) return;
  thread.removeAttribute('data-busy');
  thread.removeAttribute('data-sending');
  thread.querySelectorAll('.steps').forEach((steps) => steps.replaceWith(make('p', { class: 'quiet' }, desk.words.failed)));
  if (!box().value) setBox(desk.sent.text);
  release();
}

// The server did not take the question, or could not go on.
document.addEventListener('wenshu:lost', () => {
  if (!isBusy()) return;
  giveUp();
  say(desk.words.failed, true);
  refresh();  // who is not signed in any more is asked again
});

function startAnew() {
  document.querySelector('#new').click();
  drawer(false);
  box().focus();
}

function clearBox() {
  desk.held = desk.editing = null;
  banner();
  setBox('');
}
