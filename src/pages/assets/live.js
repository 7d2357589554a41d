// Keeps the page of a live blog up to date: reads the topic's changes from the page's own position on, in order,
// and applies each to the page. Text is set as text; only bodies and summaries, sanitised by the server, are HTML.
// On a page that isn't live it shows times in the reader's own zone, and that is all.
(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const blog = $('blog');

  const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
  const dated = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' });
  const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
  const localise = (time) => {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return time;
    const today = at.toDateString() === new Date().toDateString();
    time.textContent = (today ? clock : dated).format(at);
    time.title = whole.format(at);
    return time;
  };
  document.querySelectorAll('time').forEach(localise);
  if (!blog || !blog.dataset.stream || !window.EventSource) return;
  const feed = $('feed'), pins = $('pins'), button = $('waiting'), state = $('state');
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const waiting = new Map(); // id → entry, in the order in which they came
  let last = blog.dataset.position;
  let topicState = blog.dataset.state;
  let source = null, retryTimer = 0, failures = 0, connected = false;

  // ---- small parts -------------------------------------------------------------------------------------------

  const el = (tag, attrs, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attrs || {})) {
      if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== ''));
    return node;
  };
  const html = (target, text) => {
    const template = document.createElement('template');
    template.innerHTML = text || '';
    target.replaceChildren(template.content);
    return target;
  };
  const webUrl = (text) => {
    try {
      return /^https?:$/.test(new URL(text).protocol) ? text : null;
    } catch {
      return null;
    }
  };
  const link = (text, url, attrs) => {
    const href = url && webUrl(url);
    return href ? el('a', { ...attrs, href }, text) : text;
  };
  const filled = (text) => (text && text.trim() ? text : null);
  const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

  const timeOf = (text) => localise(el('time', { datetime: text }));

  // ---- what readers are told ---------------------------------------------------------------------------------

  // One polite region. News is counted and told at most every ten seconds; the text of entries is never read out.
  let untold = 0, notes = [], tellTimer = 0, toldAt = 0;
  const tellSoon = () => {
    if (tellTimer) return;
    tellTimer = setTimeout(() => {
      tellTimer = 0;
      toldAt = Date.now();
      const parts = notes;
      if (untold) parts.unshift(plural(untold, 'new update', 'new updates'));
      $('announce').textContent = parts.join('. ');
      untold = 0;
      notes = [];
    }, Math.max(500, toldAt + 10000 - Date.now()));
  };
  const tell = (note) => {
    if (!notes.includes(note)) notes.push(note);
    tellSoon();
  };

  const showState = () => {
    const words = topicState === 'ended' ? 'Ended' : connected ? 'Live' : 'Reconnecting…';
    if (state.textContent !== words) state.textContent = words;
    state.dataset.state = topicState === 'ended' ? 'ended' : connected ? 'live' : 'waiting';
    if (!connected && $('readers')) $('readers').remove();
  };
  const showWaiting = () => {
    const count = waiting.size;
    button.hidden = count === 0;
    button.textContent = count ? `Show ${plural(count, 'new update', 'new updates')}` : '';
    document.title = (count ? `(${count}) ` : '') + $('title').textContent;
  };
  const showUpdated = (at) => {
    if (at) $('updated').replaceChildren(timeOf(at));
  };
  const showKeyEvents = () => {
    const found = [...document.querySelectorAll('#updates .entry[data-key]')];
    const items = found.sort((a, b) => b.dataset.order - a.dataset.order).map((entry) =>
      el('li', {}, timeOf(entry.querySelector('time').dateTime), ' ', el('a', { href: `#${entry.id}` }, entry.dataset.key)));
    $('events').hidden = items.length === 0;
    $('events').querySelector('ol').replaceChildren(...items);
  };
  const showEmpty = () => {
    $('empty').hidden = feed.children.length + pins.children.length > 0;
  };

  // ---- entries -----------------------------------------------------------------------------------------------

  const VERIFICATION = { confirmed: 'Confirmed', unconfirmed: 'Unconfirmed', disputed: 'Disputed', developing: 'Developing' };

  const stamp = (id, at) =>
    el('p', { class: 'stamp' }, el('a', { href: `#e-${id}`, title: 'Link to this update' }, timeOf(at)));

  const byline = (authors) => {
    const line = el('p', { class: 'byline' });
    authors.forEach((author, index) => {
      const kind = author.type === 'organization' ? 'organization' : 'person';
      if (index === 0) line.append(kind === 'person' ? 'By ' : '');
      else line.append(index === authors.length - 1 ? ' and ' : ', ');
      const linked = link(author.name, author.url, { class: kind, rel: 'author' });
      line.append(typeof linked === 'string' ? el('span', { class: kind }, linked) : linked);
    });
    return line;
  };

  const excerpt = (bodyHtml) => {
    const text = html(document.createElement('div'), bodyHtml).textContent.trim().replace(/\s+/g, ' ');
    return text.length > 80 ? `${text.slice(0, 80).replace(/\s\S*$/, '')}…` : text;
  };

  const orderOf = (entry) =>
    Math.max(Date.parse(entry.created_at), entry.released_at ? Date.parse(entry.released_at) : 0);

  const article = (entry) => {
    const content = el('div', { class: 'content' });
    const badges = [];
    if (entry.pinned) badges.push(el('span', { class: 'badge is-pinned' }, 'Pinned'), ' ');
    if (entry.key_event) badges.push(el('span', { class: 'badge is-key' }, 'Key event'), ' ');
    const verified = VERIFICATION[entry.verification];
    if (verified) badges.push(el('span', { class: `badge is-${entry.verification}` }, verified));
    if (badges.length) content.append(el('p', { class: 'badges' }, ...badges));
    if (filled(entry.headline)) content.append(el('h3', {}, entry.headline));
    if (entry.authors.length) content.append(byline(entry.authors));
    if (entry.correction) content.append(el('p', { class: 'correction' }, el('strong', {}, 'Correction'), ' ', entry.correction.note));
    if (entry.body_html) content.append(html(el('div', { class: 'body' }), entry.body_html));
    if (entry.related_links.length) {
      content.append(el('ul', { class: 'related' }, ...entry.related_links.map((each) => el('li', {}, link(each.title, each.url)))));
    }
    if (entry.sources.length) {
      const line = el('p', { class: 'sources' }, entry.sources.length === 1 ? 'Source: ' : 'Sources: ');
      entry.sources.forEach((each, index) => {
        line.append(index ? ', ' : '', link(each.name, each.url), each.role ? ` (${each.role})` : '');
      });
      content.append(line);
    }
    if (entry.tags.length) {
      content.append(el('ul', { class: 'tags', 'aria-label': 'Tags' }, ...entry.tags.map((tag) => el('li', {}, tag))));
    }
    if (entry.revision > 1) content.append(el('p', { class: 'revised' }, 'Updated ', timeOf(entry.updated_at)));
    return el('article', {
      id: `e-${entry.id}`,
      class: `entry${entry.key_event ? ' key' : ''}${entry.pinned ? ' pinned' : ''}`,
      'data-order': orderOf(entry),
      'data-key': entry.key_event ? filled(entry.headline) || excerpt(entry.body_html) : null,
    }, stamp(entry.id, entry.published_at), content);
  };

  const tombstone = (change, order) => {
    const words = el('p', {}, 'This update was retracted.');
    if (change.reason) words.append(' ', el('span', { class: 'reason' }, change.reason));
    return el('article', { id: `e-${change.id}`, class: 'entry tombstone', 'data-order': order },
      stamp(change.id, change.at), el('div', { class: 'content' }, words));
  };

  // Changes the page without moving what is being read: browsers that anchor the scroll do it, others are helped.
  const keepPlace = (change) => {
    if (CSS.supports('overflow-anchor', 'auto')) return change();
    const seen = [...document.querySelectorAll('#updates .entry')].find((node) => node.getBoundingClientRect().bottom > 0);
    const before = seen ? seen.getBoundingClientRect().top : 0;
    change();
    if (seen && seen.isConnected && scrollY > 0) scrollBy({ top: seen.getBoundingClientRect().top - before, behavior: 'instant' });
  };

  // Puts an entry where its order says: into the pinned section, or into the feed.
  const place = (node) => {
    const list = node.classList.contains('pinned') ? pins : feed;
    const order = Number(node.dataset.order);
    const next = [...list.children].find((other) => Number(other.dataset.order) <= order);
    if (next) next.before(node);
    else if (list === feed && document.querySelector('link[rel="next"]')) return; // belongs to an older page
    else list.append(node);
  };

  const insert = (entry) => {
    const node = article(entry);
    if (!calm.matches) node.classList.add('fresh');
    if (entry.pinned) place(node);
    else feed.prepend(node);
    return node;
  };

  const atTop = () =>
    feed.getBoundingClientRect().top >= 0 && !feed.contains(document.activeElement) && getSelection().isCollapsed;

  const flush = () => {
    let node = null;
    for (const entry of waiting.values()) node = insert(entry);
    waiting.clear();
    showWaiting();
    showKeyEvents();
    showEmpty();
    return node;
  };

  button.addEventListener('click', () => {
    const newest = flush();
    if (!newest) return;
    newest.tabIndex = -1;
    newest.focus({ preventScroll: true });
    newest.scrollIntoView({ behavior: calm.matches ? 'instant' : 'smooth', block: 'start' });
  });

  // ---- changes -----------------------------------------------------------------------------------------------

  const linkTo = (target, rel) => {
    const words = filled(target.title) || target.topic || target.url;
    if (target.topic) return el('a', { href: `/t/${encodeURIComponent(target.topic)}`, rel }, words);
    return link(words, target.url, { rel });
  };

  const applyTopic = (topic) => {
    const ended = topic.status === 'ended';
    if (ended && topicState !== 'ended') {
      const next = topic.successor && (filled(topic.successor.title) || topic.successor.topic || topic.successor.url);
      tell(`This live blog has ended${next ? `. It continues: ${next}` : ''}`);
    } else if (!ended && topicState === 'ended') tell('This live blog is live again');
    topicState = topic.status;
    $('title').textContent = filled(topic.title) || topic.topic;
    html($('summary'), topic.summary_html);
    $('points').hidden = topic.key_points.length === 0;
    $('points').querySelector('ul').replaceChildren(...topic.key_points.map((point) => el('li', {}, point)));
    const over = el('p', {}, 'This live blog has ended');
    if (ended) {
      if (topic.ended_at) over.append(' (', timeOf(topic.ended_at), ')');
      over.append('.');
      if (topic.successor) over.append(' It continues: ', linkTo(topic.successor, 'next'));
    }
    $('handover').replaceChildren(...(ended ? [over] : []));
    const earlier = $('predecessor');
    earlier.hidden = !topic.predecessor;
    earlier.replaceChildren(...(topic.predecessor ? ['Earlier coverage: ', linkTo(topic.predecessor, 'prev')] : []));
    showState();
    showWaiting();
  };

  const APPLY = {
    'entry.published': ({ entry }) => {
      if ($(`e-${entry.id}`) || waiting.has(entry.id)) return APPLY['entry.revised']({ entry });
      waiting.set(entry.id, entry);
      untold += 1;
      tellSoon();
      if (atTop()) flush();
      else showWaiting();
    },
    'entry.revised': ({ entry }) => {
      if (waiting.has(entry.id)) waiting.set(entry.id, entry);
      const old = $(`e-${entry.id}`);
      // One that is neither here nor pinned belongs to an older page.
      if (!old && (waiting.has(entry.id) || !entry.pinned)) return;
      const node = article(entry);
      if (old && old.classList.contains('pinned') === entry.pinned) old.replaceWith(node);
      else {
        if (old) old.remove();
        place(node);
      }
      if (entry.correction) tell('An update was corrected');
    },
    'entry.retracted': (change) => {
      if (waiting.delete(change.id)) showWaiting();
      const old = $(`e-${change.id}`);
      if (!old) return;
      old.replaceWith(tombstone(change, old.dataset.order));
      tell('An update was retracted');
    },
    // Stands for a change whose body is gone; the retraction follows at its own place.
    'entry.redacted': (change) => {
      if (waiting.delete(change.id)) showWaiting();
    },
    'topic.updated': (change) => applyTopic(change.state),
  };

  const split = (position) => {
    const cut = position.lastIndexOf('-');
    return [position.slice(0, cut), Number(position.slice(cut + 1))];
  };

  const onChange = (event) => {
    const change = JSON.parse(event.data);
    const [epoch, offset] = split(last);
    if (change.offset <= offset) return;
    if (change.offset !== offset + 1) return reconnect(); // never go on over a hole
    last = event.lastEventId || `${epoch}-${change.offset}`;
    failures = 0;
    keepPlace(() => APPLY[event.type](change));
    showUpdated(change.at);
    showKeyEvents();
    showEmpty();
  };

  // A page that can not go on is fetched again, at most every 30 s.
  const reload = () => {
    close();
    const key = `tenbells-reload-${blog.dataset.topic}`;
    let before = 0;
    try {
      before = Number(sessionStorage.getItem(key)) || 0;
    } catch { /* no storage: the delay below still holds */ }
    const delay = before ? Math.max(0, before + 30000 - Date.now()) : Math.random() * 2000;
    setTimeout(() => {
      try {
        sessionStorage.setItem(key, String(Date.now()));
      } catch { /* as above */ }
      location.reload();
    }, delay);
  };

  // ---- the connection ----------------------------------------------------------------------------------------

  const close = () => {
    clearTimeout(retryTimer);
    if (source) source.close();
    source = null;
    connected = false;
  };
  const reconnect = () => {
    close();
    showState();
    const ceiling = Math.min(60000, 1000 * 2 ** failures);
    failures += 1;
    retryTimer = setTimeout(open, ceiling * (0.5 + Math.random() / 2));
  };
  const open = () => {
    close();
    source = new EventSource(`${blog.dataset.stream}?after=${encodeURIComponent(last)}`);
    source.onopen = () => {
      connected = true;
      showState();
    };
    source.onerror = () => {
      connected = false;
      showState();
      if (source && source.readyState === EventSource.CLOSED) reconnect();
    };
    for (const kind of Object.keys(APPLY)) source.addEventListener(kind, onChange);
    source.addEventListener('reset', reload);
  };

  addEventListener('online', () => {
    if (!connected) reconnect();
  });
  addEventListener('pagehide', close);
  addEventListener('pageshow', (event) => {
    if (event.persisted) open();
  });
  open();
})();
