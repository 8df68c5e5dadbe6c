// Making a report: asked for by a form, told step by step, shown in a frame in which nothing runs, saved as files. Used by desk.js.
async function writeReport(form) {
  const steps = form.querySelector('.steps'), alert = form.querySelector('[role=alert]'), go = form.querySelector('.go');
  const stop = new AbortController();
  panel.addEventListener('close', () => stop.abort(), { once: true });
  go.disabled = true;
  alert.textContent = '';
  steps.replaceChildren();
  panel.querySelector('.written')?.remove();
  try {
    const response = await fetch('/report', {
      method: 'POST', headers: { 'content-type': 'application/json' }, signal: stop.signal,
      body: JSON.stringify({ ...fieldsOf(form), lang: document.documentElement.lang }),
    });
    if (response.status === 401) return void location.reload();
    if (!response.ok) throw new Error(String(response.status));
    let rest = '';
    for await (const part of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
      const lines = (rest + part).split('\n');
      rest = lines.pop();
      for (const line of lines) if (line) takeReport(JSON.parse(line), form);
    }
    if (!panel.querySelector('.written') && !alert.textContent) alert.textContent = desk.words.failed;
  } catch (problem) {
    if (problem.name !== 'AbortError') alert.textContent = desk.words.failed;
  } finally {
    go.disabled = false;
    steps.replaceChildren();
  }
}

async function* chunks(stream) {
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
}

function takeReport(news, form) {
  const steps = form.querySelector('.steps');
  if (news.section) {
    steps.querySelector('.now')?.setAttribute('class', 'done');
    steps.append(make('li', { class: 'now' }, news.section));
  } else if (news.within && !steps.children.length) steps.append(make('li', { class: 'now' }, news.within));
  if (news.failed) form.querySelector('[role=alert]').textContent = news.failed;
  if (news.html) showReport(news, JSON.parse(form.dataset.report));
}

function showReport({ title, html, markdown, name }, words) {
  const frame = make('iframe', { title, sandbox: 'allow-same-origin allow-modals allow-popups' });  // no scripts
  const tool = (label, does) => {
    const button = make('button', { type: 'button', class: 'tool' }, label);
    button.addEventListener('click', does);
    return button;
  };
  frame.srcdoc = html;
  panelBody.append(make('div', { class: 'written' }, make('div', { class: 'tools' },
    tool(words.html, () => saveText(`${name}.html`, 'text/html', html)), tool(words.markdown, () => saveText(`${name}.md`, 'text/markdown', markdown)),
    tool(words.print, () => frame.contentWindow.print())), frame));
  panel.querySelector('.written').scrollIntoView({ block: 'nearest' });
}

const saveText = (name, type, text) => {
  const bytes = new TextEncoder().encode(text);
  saveFile({ name, type, content: btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')) });
};
