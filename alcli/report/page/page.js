
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const points = JSON.parse($("points").textContent);
  const [X, Y, NUMBER, ID, LINES] = [0, 1, 2, 3, 4];

  // A field that shows only the cards with a text.
  if ($("find")) {
    $("find").hidden = false;
    const cards = [...document.querySelectorAll(".cards > li")];
    const texts = cards.map((card) => card.textContent.toLowerCase());
    $("find").querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      let left = 0;
      cards.forEach((card, i) => { card.hidden = !texts[i].includes(wanted); left += card.hidden ? 0 : 1; });
      $("found").textContent = wanted ? `${left} of ${cards.length} items` : "";
    });
  }
  if (!$("plot")) return;

  const plot = $("plot"), picture = $("picture"), tip = $("tip"), here = $("here");
  const picks = points.filter((point) => point[NUMBER] > 0);
  const { width: WIDTH, height: HEIGHT } = picture.viewBox.baseVal;
  let at = -1;

  const line = (text, name) => {
    const p = document.createElement("p");
    p.textContent = text;
    p.dir = "auto";
    if (name) p.className = name;
    return p;
  };
  const hide = () => { tip.hidden = true; here.setAttribute("visibility", "hidden"); };
  const show = (point, aloud) => {
    const scale = picture.clientWidth / WIDTH;
    here.setAttribute("cx", point[X]);
    here.setAttribute("cy", point[Y]);
    here.setAttribute("visibility", "visible");
    const image = point[NUMBER] ? document.querySelector(`#item-${point[NUMBER]} img`) : null;
    const parts = [line(point[NUMBER] ? `${point[NUMBER]}. ${point[ID]}` : point[ID], "id"), ...point[LINES].map((t) => line(t))];
    if (image) { const copy = image.cloneNode(); copy.removeAttribute("loading"); copy.alt = ""; parts.unshift(copy); }
    tip.replaceChildren(...parts);
    tip.hidden = false;
    const left = point[X] > WIDTH / 2 ? point[X] * scale - tip.offsetWidth - 18 : point[X] * scale + 18;
    const top = Math.min(point[Y] * scale, Math.max(0, HEIGHT * scale - tip.offsetHeight));
    tip.style.transform = `translate(${Math.max(0, left)}px, ${top}px)`;
    if (aloud) $("said").textContent = [point[ID], ...point[LINES]].join(". ");
  };
  const nearest = (x, y, reach) => {
    let best = null, least = reach * reach;
    for (const point of points) {
      // Of points that lie as near, the earlier one is shown: picks come before labelled items and these before others.
      const d = (point[X] - x) ** 2 + (point[Y] - y) ** 2;
      if (d < least) { least = d; best = point; }
    }
    return best;
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect(), scale = WIDTH / box.width;
    const point = nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale, 16 * Math.max(1, scale));
    if (point) show(point, false); else hide();
  });
  picture.addEventListener("pointerleave", hide);

  $("how").hidden = false;
  if (picks.length) {
    plot.tabIndex = 0;
    plot.setAttribute("role", "application");
    plot.setAttribute("aria-label", "Map of the pool; the arrow keys go from pick to pick, Enter goes to the card");
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step) at = at < 0 ? (step > 0 ? 0 : picks.length - 1) : (at + step + picks.length) % picks.length;
      else if (event.key === "Home") at = 0;
      else if (event.key === "End") at = picks.length - 1;
      else if (event.key === "Escape") return hide();
      else if (event.key === "Enter" && at >= 0) return $(`item-${picks[at][NUMBER]}`).focus();
      else return;
      event.preventDefault();
      show(picks[at], true);
    });
    plot.addEventListener("blur", hide);
    document.querySelectorAll("[data-pick]").forEach((link) => link.addEventListener("click", (event) => {
      at = picks.findIndex((pick) => pick[NUMBER] === Number(link.dataset.pick));
      if (at < 0) return;
      event.preventDefault();
      plot.scrollIntoView({ block: "center" });
      plot.focus({ preventScroll: true });
      show(picks[at], true);
    }));
  }
})();
