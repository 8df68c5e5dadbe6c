// What stands beside the conversation: history, what is done with an answer, and the panel of saved questions, board and metrics.
// Everything with `data-do` sends an action of that name to /actions; the reply says what to fill, say, save or ask.
const desk = { words: {}, language: '', editing: null, recalled: false };
const frame = () => document.querySelector('.gradio-container');
const box = () => document.querySelector('#question textarea');
const make = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const side = make('aside', { id: 'side' });
const panel = make('dialog', { id: 'panel', 'aria-labelledby': 'panel-title' });
const panelBody = make('div', { class: 'inside' });
const panelClose = make('button', { type: 'button', class: 'icon close', 'data-close': '' }, '×');
const toast = make('p', { id: 'toast', role: 'status' });
const curtain = make('div', { id: 'curtain' });
const menu = make('button', { id: 'menu', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'side' }, '☰');
panel.append(panelClose, panelBody);

// The page's frame is there only once the first message is.
function place() {
  if (side.isConnected) return;
  frame().append(curtain, side, panel, toast);
  document.querySelector('#page-header').prepend(menu);
}

// Actions --------------------------------------------------------------------------------------------------------------

async function act(wish, source) {
  source?.setAttribute('aria-busy', 'true');
  try {
    const response = await fetch('/actions', {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...wish, lang: document.documentElement.lang, look: look() }),
    });
    if (response.status === 401) return void location.reload();
    if (!response.ok) throw new Error(String(response.status));
    const reply = await response.json();
    take(reply, source);
    return reply;
  } catch (problem) {
    if (problem instanceof TypeError) disconnected();
    else take({ failed: desk.words.failed ?? '' }, source);
    return {};
  } finally {
    source?.removeAttribute('aria-busy');
  }
}

function take(reply, source) {
  if (reply.into) document.querySelector(reply.into).innerHTML = reply.html;
  if (reply.into === '#side') desk.words = JSON.parse(side.firstElementChild.dataset.words);
  if (reply.into === '#conversations') mark();
  if (reply.panel) openPanel(reply.panel);
  if (reply.cards) fillCards();
  if (reply.report) writeReport(panel.querySelector('[data-report]'));
  if (reply.remove) source.closest(reply.remove).remove();
  if (reply.file) saveFile(reply.file);
  if (reply.deleted === thread.dataset.conversation) startAnew();
  if (reply.stale) desk.stale = true;
  if (reply.anew) anew();
  if (reply.close) panel.close();
  if (reply.said) say(reply.said);
  if (reply.ask) ask(reply.ask);
  if (reply.failed) {
    const alert = source?.matches('form') && source.querySelector('[role=alert]');
    if (alert) alert.textContent = reply.failed;
    else say(reply.failed, true);
  }
}

function say(text, wrong = false) {
  clearTimeout(desk.said);
  (panel.open ? panel : frame()).append(toast);
  toast.textContent = text;
  toast.className = wrong ? 'shown wrong' : 'shown';
  desk.said = setTimeout(() => { toast.className = ''; toast.textContent = ''; }, 2500 + 60 * text.length);
}

function saveFile({ name, type, content }) {
  const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  const link = make('a', { href: URL.createObjectURL(new Blob([bytes], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Other data are another page.
function anew(question) {
  if (question) sessionStorage.setItem('wenshu.ask', question);
  location.assign(location.pathname);
}

function copyText(text, said) {
  navigator.clipboard.writeText(text).then(() => say(said), () => say(desk.words.failed, true));
}

// Ask a question with two ways out; the browser's own would look like another program's.
function sure(question) {
  return new Promise((decide) => {
    const yes = make('button', { type: 'button', class: 'go danger' }, desk.words.yes), no = make('button', { type: 'button', class: 'tool' }, desk.words.no);
    const dialog = make('dialog', { class: 'sure', 'aria-label': question }, make('p', {}, question), make('div', { class: 'tools' }, yes, no));
    const before = document.activeElement;
    yes.addEventListener('click', () => dialog.close('yes'));
    no.addEventListener('click', () => dialog.close());
    dialog.addEventListener('close', () => { dialog.remove(); before?.focus(); decide(dialog.returnValue === 'yes'); });
    (panel.open ? panel : frame()).append(dialog);
    dialog.showModal();
    no.focus();
  });
}

// Panel ----------------------------------------------------------------------------------------------------------------

function openPanel(html) {
  panelBody.innerHTML = html;
  panelClose.setAttribute('aria-label', desk.words.close ?? '');
  drawer(false);
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  (panel.querySelector('input[type=search], form.stack input') ?? panelClose).focus();
}

async function fillCards() {
  for (const place of [...panel.querySelectorAll('[data-card]')]) {
    if (!panel.open || !place.isConnected) continue;
    const reply = await act({ do: 'card', pin: Number(place.dataset.card) }, place);
    place.innerHTML = reply.html ?? '';
    if (reply.failed) place.replaceChildren(make('p', { class: 'quiet' }, reply.failed));
  }
}

function filter(field) {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const item of panel.querySelectorAll('[data-find]')) {
    item.hidden = !words.every((word) => item.dataset.find.includes(word));
    left += !item.hidden;
  }
  panel.querySelectorAll('.group').forEach((group) => { group.hidden = !group.querySelector('[data-find]:not([hidden])'); });
  field.parentElement.querySelector('.none').textContent = left ? '' : desk.words.nothing.replace('{}', field.value);
}

const fieldsOf = (form) => Object.fromEntries(new FormData(form));

// Conversations --------------------------------------------------------------------------------------------------------

function drawer(open) {
  if (side.classList.contains('open') === open) return;
  side.classList.toggle('open', open);
  curtain.classList.toggle('shown', open);
  menu.setAttribute('aria-expanded', String(open));
  open ? side.querySelector('button')?.focus() : menu.focus();
}

function mark() {
  side.querySelectorAll('[data-open]').forEach((each) => {
    each.dataset.open === thread.dataset.conversation ? each.setAttribute('aria-current', 'page') : each.removeAttribute('aria-current');
  });
}

const refresh = () => act({ do: 'conversations', search: side.querySelector('[data-live]')?.value ?? '' });

function reopen(conversation) {
  drawer(false);
  release();
  trigger('select', { open: conversation });
}

function rename(button) {
  const item = button.closest('li'), open = item.querySelector('.open');
  const field = make('input', { type: 'text', value: open.title, maxlength: '80', 'aria-label': desk.words.title });
  let done = false;
  const end = async (keep) => {
    if (done) return;
    done = true;
    if (keep && field.value.trim() && field.value !== open.title) await act({ do: 'rename', conversation: button.dataset.rename, title: field.value });
    else field.replaceWith(open);
  };
  field.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Enter') end(true);
    else if (event.key === 'Escape') end(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  field.addEventListener('blur', () => end(true));
  open.replaceWith(field);
  field.select();
}

// An answer ------------------------------------------------------------------------------------------------------------

const turnOf = (button) => button.closest('[data-turn]');
const questionOf = (section) => section.querySelector('h2.question').dataset.question;

function edit(section) {
  desk.editing = Number(section.dataset.turn);
  setBox(questionOf(section));
  box().focus();
  banner(desk.words.editing.replace('{}', desk.editing));
}

function endEdit() {
  if (desk.editing === null) return;
  desk.editing = null;
  banner();
}

function setBox(text) {
  box().value = text;
  suggestions.off = true;
  box().dispatchEvent(new Event('input', { bubbles: true }));
  suggestions.off = false;
}

function answerText(article) {
  const said = [];
  for (const part of article.querySelectorAll(':scope > p:not(.verified), :scope > ul > li, :scope > .notice p, .key-figures > div')) said.push(part.innerText.replace(/\s*\n\s*/g, ' '));
  for (const row of article.querySelectorAll('table tr')) said.push([...row.cells].map((cell) => cell.innerText.trim()).join('\t'));
  return said.join('\n');
}

function vote(button) {
  const about = button.closest('.about'), turn = Number(about.dataset.turnId), form = about.querySelector('.reason'), field = form.querySelector('input');
  const taken = button.getAttribute('aria-pressed') === 'true', good = button.dataset.vote === 'true';
  about.querySelectorAll('[data-vote]').forEach((each) => each.setAttribute('aria-pressed', String(each === button && !taken)));
  field.dataset.bad ??= field.placeholder;
  field.placeholder = good ? form.dataset.reason : field.dataset.bad;
  field.setAttribute('aria-label', field.placeholder);
  form.hidden = taken;
  act({ do: 'vote', turn, good: taken ? null : good });
  if (!taken) field.focus();
}

const comingIntoView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    comingIntoView.unobserve(target);
    act({ do: 'png', turn: Number(target.dataset.picture) }).then((reply) => {
      if (reply.picture) target.src = `data:image/png;base64,${reply.picture}`;
      delete target.dataset.picture;
    });
  }
}, { rootMargin: '400px' });

// What happens ---------------------------------------------------------------------------------------------------------

document.addEventListener('click', async (event) => {
  let found;
  if ((found = within(event, '[data-sure]')) && !event.defaultPrevented) {
    if (await sure(desk.words.sure.replace('{}', found.dataset.sure))) act({ do: found.dataset.do, ...JSON.parse(found.dataset.with) }, found);
  } else if ((found = within(event, '[data-do]:not(form)'))) act({ do: found.dataset.do, ...JSON.parse(found.dataset.with ?? '{}') }, found);
  else if ((found = within(event, '[data-open]'))) reopen(found.dataset.open);
  else if ((found = within(event, '[data-rename]'))) rename(found);
  else if (within(event, '[data-new]')) startAnew();
  else if (within(event, '[data-close]')) panel.close();
  else if ((found = within(event, '[data-ask-anew]'))) anew(found.dataset.askAnew);
  else if ((found = within(event, '#panel [data-ask]'))) ask(found.dataset.ask);
  else if ((found = within(event, '[data-retry]'))) ask(questionOf(turnOf(found)), { at: Number(turnOf(found).dataset.turn), keep: true });
  else if ((found = within(event, '[data-edit]'))) edit(turnOf(found));
  else if ((found = within(event, '[data-copy-answer]'))) copyText(answerText(found.closest('article')), desk.words.copied);
  else if ((found = within(event, '[data-copy-sql]'))) copyText(found.closest('article').querySelector('.sql code').textContent, desk.words.copied);
  else if ((found = within(event, '[data-vote]'))) vote(found);
  else if ((found = within(event, '[data-share]'))) {
    const given = new URLSearchParams({ template: found.dataset.share, ...fieldsOf(found.form) });
    copyText(`${location.origin}${location.pathname}?${given}`, desk.words.link);
  } else if (event.target === panel) panel.close();
});
menu.addEventListener('click', () => drawer(!side.classList.contains('open')));
curtain.addEventListener('click', () => drawer(false));
document.addEventListener('click', (event) => {
  if (within(event, '#send')) send();
  else if (within(event, '#stop')) release();
  else if (within(event, '#new')) clearBox();
}, true);

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.matches('.reason')) {
    act({ do: 'vote', turn: Number(form.closest('.about').dataset.turnId), good: form.closest('.about').querySelector('[data-vote=true]').getAttribute('aria-pressed') === 'true', reason: form.querySelector('input').value });
    form.hidden = true;
  } else if (form.matches('[data-upload]')) upload(form);
  else if (form.matches('[data-report]')) writeReport(form);
  else if (form.dataset.do) act({ do: form.dataset.do, ...JSON.parse(form.dataset.with), fields: fieldsOf(form) }, form);
  else return;
  event.preventDefault();
});

document.addEventListener('input', (event) => {
  if (within(event, '[data-filter]')) filter(event.target);
  else if (within(event, '[data-live]')) {
    clearTimeout(desk.searching);
    desk.searching = setTimeout(refresh, 200);
  }
});

document.addEventListener('change', (event) => {
  if (within(event, '[data-choose]')) act({ do: 'choose', model: event.target.value });
  else if (within(event, '[data-upload]')) chosen(event.target.form);
});
for (const kind of ['dragover', 'dragleave', 'drop']) {
  document.addEventListener(kind, (event) => {
    const form = panel.querySelector('[data-upload]');
    if (!form || !event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    form.classList.toggle('over', kind === 'dragover');
    if (kind !== 'drop') return;
    form.querySelector('input').files = event.dataTransfer.files;
    chosen(form);
  });
}
panel.addEventListener('close', () => { if (desk.stale) anew(); });

document.addEventListener('keydown', (event) => {
  if (event.isComposing) return;
  if (event.key === 'Escape' && side.classList.contains('open')) drawer(false);
  else if (event.key === 'Escape' && desk.editing !== null && typing(event) && !event.defaultPrevented) clearBox();
  else if (event.key === 'Enter' && !event.shiftKey && typing(event) && !event.defaultPrevented) {
    event.preventDefault();
    event.stopPropagation();
    send();
  }
}, true);

document.addEventListener('wenshu:shown', async ({ detail }) => {
  place();
  mark();
  if (desk.language !== detail.language) {
    desk.language = detail.language;
    await act({ do: 'sidebar' });
    side.setAttribute('aria-label', side.querySelector('h2')?.textContent ?? '');
    menu.setAttribute('aria-label', desk.words.menu);
    mark();
  } else if (!detail.busy) refresh();
  if (!detail.busy && detail.turn > 0) turnIsOver();
  thread.querySelectorAll('img[data-picture]').forEach((image) => comingIntoView.observe(image));
  if (!desk.recalled) return recall();
  if (detail.turn > 0) history.replaceState(null, '', `${location.pathname}#${detail.conversation}`);
  else if (!thread.querySelector('[data-turn]:not([data-turn="0"])')) history.replaceState(null, '', location.pathname);
});

// The address says where the page was: a conversation, or a saved question to run.
function recall() {
  desk.recalled = true;
  const { template, ...fields } = Object.fromEntries(new URLSearchParams(location.search));
  const conversation = location.hash.slice(1), waiting = sessionStorage.getItem('wenshu.ask');
  sessionStorage.removeItem('wenshu.ask');
  const draft = sessionStorage.getItem('wenshu.draft');
  sessionStorage.removeItem('wenshu.draft');
  if (draft) setBox(draft);
  if (waiting) ask(waiting);
  else if (template) {
    history.replaceState(null, '', location.pathname);
    act({ do: 'run', name: template, fields, link: true });
  } else if (conversation) reopen(conversation);
}
