// Bringing files: chosen or dropped, sent with their progress, and proposed as a model. Used by desk.js.
// What is chosen in an upload, by the button or by dropping.
function chosen(form) {
  const files = [...form.querySelector('input').files], list = form.querySelector('.files');
  const size = (bytes) => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
  list.replaceChildren(...files.map((file) => make('li', {}, make('span', {}, file.name), make('small', { class: 'quiet' }, size(file.size)))));
  form.querySelector('[role=alert]').textContent = '';
}

// fetch() tells nothing of how much has gone out.
function sendFile(file, told) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/upload');
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.addEventListener('progress', (event) => event.lengthComputable && told(event.loaded / event.total));
    request.addEventListener('load', () => done(request));
    request.addEventListener('error', failed);
    request.send(file);
  });
}

async function upload(form) {
  const status = form.querySelector('[role=status]'), alert = form.querySelector('[role=alert]'), go = form.querySelector('.go'), bar = form.querySelector('progress');
  const sent = [], chosen = [...form.querySelector('input').files];
  const tooLarge = chosen.find((file) => file.size > Number(alert.dataset.most));
  alert.textContent = tooLarge ? alert.dataset.tooLarge.replace('{}', tooLarge.name) : chosen.length ? '' : alert.dataset.none;
  if (alert.textContent) return;
  go.disabled = true;
  bar.hidden = false;
  try {
    for (const file of chosen) {
      status.textContent = status.dataset.uploading.replace('{}', file.name);
      const request = await sendFile(file, (part) => { bar.value = part; });
      const { token } = request.status === 200 ? JSON.parse(request.responseText) : {};
      if (!token) throw new Error(String(request.status));
      sent.push({ token, name: file.name });
    }
    bar.removeAttribute('value');
    const begun = Date.now(), tick = () => { status.textContent = status.dataset.reading.replace('{}', Math.round((Date.now() - begun) / 1000)); };
    tick();
    const clock = setInterval(tick, 1000);
    await act({ do: 'propose', files: sent }, form).finally(() => clearInterval(clock));
  } catch {
    alert.textContent = desk.words.failed;
  } finally {
    status.textContent = '';
    go.disabled = false;
    bar.hidden = true;
  }
}
