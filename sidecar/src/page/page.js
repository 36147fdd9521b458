'use strict';
// Fetches this document again and patches what differs: nothing flickers, and a selection stays.
(() => {
  const period = 2000, patience = 5000;
  const link = document.getElementById('link');
  const page = document.getElementById('page');
  let heard = new Date(), asking = false, timer;

  function patch(from, to) {
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    const old = [...from.childNodes], fresh = [...to.childNodes];
    fresh.forEach((node, at) => {
      const known = old[at];
      if (!known) from.append(document.importNode(node, true));
      else if (known.nodeName !== node.nodeName || known.id !== node.id) known.replaceWith(document.importNode(node, true));
      else if (node.nodeType === Node.ELEMENT_NODE) patch(known, node);
      else if (known.nodeValue !== node.nodeValue) known.nodeValue = node.nodeValue;
    });
    old.slice(fresh.length).forEach((node) => node.remove());
  }

  function say(text) {
    if (link.textContent !== text) link.textContent = text;
    link.hidden = text === '';
    page.classList.toggle('old', text !== '');
  }

  async function refresh() {
    clearTimeout(timer);
    if (asking) return;
    asking = true;
    try {
      const answer = await fetch('?format=html', { cache: 'no-store', signal: AbortSignal.timeout(patience) });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const next = fresh.getElementById('page');
      // Another sidecar has another script.
      if (next.dataset.version !== page.dataset.version) return location.reload();
      patch(page, next);
      document.title = fresh.title;
      const icon = document.querySelector('link[rel=icon]'), shown = fresh.querySelector('link[rel=icon]');
      if (icon.getAttribute('href') !== shown.getAttribute('href')) icon.setAttribute('href', shown.getAttribute('href'));
      heard = new Date();
      say('');
    } catch {
      say(`The sidecar has not answered since ${heard.toLocaleTimeString()}. This page is from then.`);
    }
    asking = false;
    // A page that nobody sees asks nothing.
    if (!document.hidden) timer = setTimeout(refresh, period);
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : refresh()));
  timer = setTimeout(refresh, period);
})();
