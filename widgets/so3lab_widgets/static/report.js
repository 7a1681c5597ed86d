// Draws what the page carries: figures with Plotly, movies with NGL; figures over time follow the movie.
// STYLES and STAGE come from Python's table of looks.
const DARK = matchMedia('(prefers-color-scheme: dark)');
const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const embedded = element => JSON.parse(element.querySelector('script').textContent);

const NARROW = 480;  // pixels

function drawFigure(element) {
  const {data, layout} = embedded(element);
  const plot = element.appendChild(document.createElement('div'));
  layout.font = {...layout.font, color: colour('ink')};
  if (element.clientWidth < NARROW) onNarrowPage(layout);
  Plotly.newPlot(plot, data, layout, {responsive: true, displaylogo: false});
  DARK.addEventListener('change', () => Plotly.relayout(plot, {'font.color': colour('ink')}));
  return plot;
}

// On a telephone the legend goes below the axes, where its lines have room, and long words are set smaller.
function onNarrowPage(layout) {
  const bottom = layout.margin?.b ?? 56, legend = {orientation: 'h', x: 0, xanchor: 'left', y: -0.22, yanchor: 'top'};
  if (layout.showlegend) Object.assign(layout, {legend, height: layout.height + 70, margin: {...layout.margin, b: bottom + 70}});
  if (layout.title?.subtitle) layout.title.subtitle.font = {size: 10};
}

const HINT = 'drag to rotate, scroll to zoom';
const CONTROLS = `
  <button class="play">Play</button>
  <input type="range" min="0" value="0" aria-label="Frame">
  <output></output>
  <span class="break"></span>
  <select class="speed" aria-label="Speed">
    <option value="5">5 frames/s</option><option value="15">15 frames/s</option>
    <option value="30" selected>30 frames/s</option><option value="60">60 frames/s</option>
  </select>
  <select class="style" aria-label="Representation">
    <option value="ball+stick">ball and stick</option><option value="licorice">sticks</option>
    <option value="spacefill">space filling</option>
  </select>
  <button class="reset">Reset view</button>`;
// NGL leaves a wide margin around small molecules, and none for the outer halves of large spheres.
const CLOSER = 0.85, FARTHER = 1.5;

class Player {
  constructor(element) {
    const data = embedded(element);
    const {times, names, words, keys, style, periodic} = data;
    Object.assign(this, {element, times, names, words, keys, style, periodic, labels: data.frames, frame: 0});
    const bytes = Uint8Array.from(atob(data.coordinates), character => character.charCodeAt(0));
    this.coordinates = Float32Array.from(new Int16Array(bytes.buffer), q => data.offset + data.scale * q);
    this.size = 3 * data.names.length;
    this.count = this.coordinates.length / this.size;
    this.listeners = [];
    this.build();
    this.ready = this.load(data).catch(error => {
      this.hint.textContent = 'The 3D view needs WebGL, which this browser does not offer. ' + error.message;
    });
  }

  build() {
    const caption = this.element.querySelector('figcaption');
    this.div = document.createElement('div');
    this.div.className = 'stage';
    this.hint = this.div.appendChild(document.createElement('div'));
    this.hint.className = 'hint';
    this.hint.textContent = HINT;
    const controls = document.createElement('div');
    controls.className = 'controls';
    controls.innerHTML = CONTROLS;
    this.element.insertBefore(this.div, caption);
    this.element.insertBefore(controls, caption);
    const find = name => controls.querySelector(name);
    [this.button, this.slider, this.output] = ['.play', 'input', 'output'].map(find);
    this.slider.max = this.count - 1;
    controls.classList.toggle('still', this.count < 2);
    controls.classList.toggle('named', !!this.words);
    this.button.onclick = () => this.play(!this.playing);
    this.slider.oninput = () => { this.play(false); this.show(+this.slider.value); };
    this.rate = 30;
    find('.speed').onchange = event => { this.rate = +event.target.value; };
    find('.style').value = this.style;
    find('.style').onchange = event => this.represent(event.target.value);
    find('.reset').onclick = () => this.lookFromTheFront();
    this.say();
  }

  async load(data) {
    this.stage = new NGL.Stage(this.div, {...STAGE, tooltip: false, backgroundColor: colour('stage')});
    const hovered = this.stage.signals.hovered;
    hovered.add(picked => { this.hint.textContent = picked?.atom ? this.names[picked.atom.index] : HINT; });
    DARK.addEventListener('change', () => this.stage.setParameters({backgroundColor: colour('stage')}));
    new ResizeObserver(() => this.stage.handleResize()).observe(this.div);
    const file = new Blob([data.pdb], {type: 'text/plain'});
    this.component = await this.stage.loadFile(file, {ext: 'pdb', defaultRepresentation: false});
    this.represent(this.style);
    if (this.periodic) this.component.addRepresentation('unitcell');
    this.lookFromTheFront();
  }

  lookFromTheFront() {
    const axes = this.component.structure.getView(new NGL.Selection('all')).getPrincipalAxes();
    this.stage.animationControls.rotate(axes.getRotationQuaternion(), 0);
    this.stage.viewerControls.spin(new NGL.Vector3(0, 0, 1), Math.PI / 2);  // the long axis lies
    this.stage.viewerControls.spin(new NGL.Vector3(1, 0.6, 0), 0.35);
    this.component.autoView();
    this.stage.viewerControls.distance((this.periodic ? 1.6 : this.style === 'spacefill' ? FARTHER : CLOSER) * this.stage.viewer.camera.position.z);
    this.stage.viewer.requestRender();
  }

  represent(style) {
    if (this.representation) this.component.removeRepresentation(this.representation);
    this.representation = this.component.addRepresentation(style, {...STYLES[style].parameters, colorScheme: 'element'});
  }

  show(frame) {
    this.frame = Math.max(0, Math.min(this.count - 1, frame));
    this.slider.value = this.frame;
    this.say();
    if (this.component) {
      const positions = this.coordinates.subarray(this.frame * this.size, (this.frame + 1) * this.size);
      this.component.structure.updatePosition(positions, false);
      this.component.updateRepresentations({position: true});
      this.stage.viewer.requestRender();
    }
    this.listeners.forEach(listener => listener(this.frame));
  }

  say() {
    if (this.words) {
      this.output.textContent = this.words[this.frame];
      return;
    }
    const time = this.times ? `${this.times[this.frame].toFixed(3)} ps, ` : '';
    this.output.textContent = `${time}frame ${this.labels[this.frame]}`;
  }

  play(on) {
    if (on === !!this.playing) return;
    this.button.textContent = on ? 'Pause' : 'Play';
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    if (on) this.tick(performance.now(), performance.now());
  }

  tick(now, last) {
    const steps = Math.floor((now - last) / 1000 * this.rate);
    if (steps > 0) {
      this.show((this.frame + steps) % this.count);
      last = now;
    }
    this.playing = requestAnimationFrame(time => this.tick(time, last));
  }
}

function link(player, plot) {
  let drawn = 0;
  player.listeners.push(frame => {
    if (player.playing && performance.now() - drawn < 250) return;
    drawn = performance.now();
    const x = player.times[frame];
    const line = {type: 'line', x0: x, x1: x, xref: 'x', y0: 0, y1: 1, yref: 'paper', name: 'now'};
    const others = (plot.layout.shapes || []).filter(shape => shape.name !== 'now');
    Plotly.relayout(plot, {shapes: [...others, {...line, line: {color: colour('accent'), width: 1.5}}]});
  });
  plot.on('plotly_click', event => {
    const distances = player.times.map(time => Math.abs(time - event.points[0].x));
    player.play(false);
    player.show(distances.indexOf(Math.min(...distances)));
  });
}

// A click on a point or a row shows the frame that has its key; points and row of the frame are marked.
function choose(player, plots, tables) {
  const listed = key => player.keys.findIndex(one => String(one) === String(key));
  const show = key => {
    if (listed(key) >= 0) player.show(listed(key));
    else player.hint.textContent = `${key} is not among the ${player.count} structures in this page`;
  };
  const rows = tables.flatMap(table => [...table.querySelectorAll('tbody tr')])
    .filter(row => listed(row.cells[0].textContent) >= 0);
  for (const row of rows) {
    row.classList.add('choice');
    row.tabIndex = 0;
    row.onclick = () => show(row.cells[0].textContent);
    row.onkeydown = event => { if (event.key === 'Enter') row.onclick(); };
  }
  for (const plot of plots) {
    plot.on('plotly_click', event => {
      const key = event.points[0].customdata?.[0];
      if (key !== undefined) show(key);
    });
    const {xaxis, yaxis} = plot._fullLayout;  // what marks a point must not move the axes
    Plotly.relayout(plot, {'xaxis.range': [...xaxis.range], 'yaxis.range': [...yaxis.range]});
  }
  player.listeners.push(frame => {
    const key = player.keys[frame];
    rows.forEach(row => row.classList.toggle('shown', row.cells[0].textContent === String(key)));
    plots.forEach(plot => ring(plot, key));
  });
  player.ready.then(() => player.show(0));
}

function ring(plot, key) {
  const x = [], y = [];
  for (const trace of plot._fullData.filter(one => one.customdata && one.mode !== 'lines'))
    trace.customdata.forEach((row, index) => {
      if (row[0] === key) { x.push(trace.x[index]); y.push(trace.y[index]); }
    });
  const number = plot.data.findIndex(trace => trace.name === 'shown');
  if (number >= 0) Plotly.restyle(plot, {x: [x], y: [y]}, [number]);
}

const players = [];
for (const section of document.querySelectorAll('section')) {
  const movies = [...section.querySelectorAll('.movie')].map(element => new Player(element));
  const plots = [...section.querySelectorAll('.figure')].map(drawFigure);
  for (const player of movies.filter(movie => movie.times))
    for (const plot of plots.filter(plot => plot.layout.meta?.x === 'time_ps')) link(player, plot);
  players.push(...movies);
}
const beside = document.querySelector('aside .movie');
if (beside) {
  players.push(new Player(beside));
  const plots = [...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.layout.meta?.select);
  choose(players.at(-1), plots, [...document.querySelectorAll('.table')]);
}
