import AuditReport

/// What pages need beside themselves; nothing comes from outside.
enum Assets {
    /// The reports' sheet, and what a live page has beyond a report.
    static let sheet = ReportStyle.sheet.text + additions

    private static let additions = """

        body { max-width: none; padding: 0; }
        .wide { max-width: 82rem; margin: 0 auto; padding: 0 1.25rem; }
        main.wide { padding-top: 1.25rem; padding-bottom: 1rem; } footer.wide { padding-top: .75rem; padding-bottom: 2rem; }
        .skip { position: absolute; left: -99rem; } .skip:focus { left: .5rem; top: .5rem; background: var(--ground); padding: .4rem .8rem; z-index: 2; }
        :focus-visible { outline: 2.5px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
        .bar { border-bottom: 1px solid var(--line); background: var(--panel); }
        .bar .wide { display: flex; align-items: center; gap: .3rem 1rem; min-height: 3.25rem; flex-wrap: wrap; }
        .brand { display: inline-flex; align-items: center; gap: .5rem; font-weight: 700; font-size: 1.15rem; color: var(--ink); text-decoration: none; letter-spacing: .01em; }
        .stones { width: 1.7rem; height: 1.7rem; } .stone1 { fill: var(--quiet); } .stone2 { fill: var(--upload); } .stone3 { fill: var(--accent); }
        .spring { flex: 1; } .asof, .who { color: var(--quiet); font-size: .88rem; font-variant-numeric: tabular-nums; }
        .live { font-size: .85rem; font-weight: 600; padding: .05rem .6rem; border-radius: 1rem; border: 1px solid var(--line); color: var(--quiet); white-space: nowrap; }
        .live::before { content: ""; display: inline-block; width: .55em; height: .55em; border-radius: 50%; background: currentColor; margin-right: .4em; }
        .live.on { color: var(--kept); border-color: currentColor; } .live.off { color: var(--broken); border-color: currentColor; }
        .crumbs { margin: 0 0 .35rem; font-size: .9rem; } .heading { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .5rem 1rem; margin-bottom: .5rem; }
        h1 { margin-bottom: .6rem; } .heading h1 { margin: 0; } main section > h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.2rem, 1fr)); gap: .75rem; margin: .9rem 0 0; }
        .tile { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .85rem .65rem; min-width: 0; }
        .tile dt { font-size: .85rem; } .tile dd { margin: 0; } .tile .figure { font-size: 1.45rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
        .tile .figure .text { font-size: .95rem; font-weight: 400; } .tile dd.quiet { font-size: .82rem; } .of { color: var(--quiet); font-weight: 400; font-size: .85em; }
        .tile.bad { border-color: var(--broken); } .tile.bad .figure, .badtext { color: var(--broken); }
        .meter { display: block; width: 100%; height: .5rem; border-radius: .25rem; margin-top: .25rem; } .metered { display: inline-block; width: 8.5rem; max-width: 100%; }
        .track { fill: var(--line); } .tone-accent { fill: var(--accent); } .tone-kept { fill: var(--kept); } .tone-open { fill: var(--open); } .tone-broken { fill: var(--broken); } .tickmark { fill: var(--ink); }
        .under { display: block; font-size: .82rem; } .neutral { color: var(--quiet); background: var(--panel); border: 1px solid var(--line); }
        td .number, td.number { font-variant-numeric: tabular-nums; } tbody tr:last-child td { border-bottom: 0; } .scroll { border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); }
        .button { display: inline-block; font: inherit; font-size: .9rem; font-weight: 550; line-height: 1.4; padding: .25rem .75rem; border: 1px solid var(--line); border-radius: .4rem; background: var(--ground); color: var(--ink); text-decoration: none; cursor: pointer; white-space: nowrap; }
        .button:hover { border-color: var(--accent); color: var(--accent); } .button.grave { color: var(--broken); } .button.grave:hover { border-color: var(--broken); color: var(--broken); }
        .button.chief { background: var(--accent); border-color: var(--accent); color: var(--ground); } .button.chief:hover { color: var(--ground); filter: brightness(1.1); }
        button.button.grave { background: var(--broken); border-color: var(--broken); color: var(--ground); } button.button.grave:hover { color: var(--ground); filter: brightness(1.1); }
        .plain { font: inherit; font-size: .88rem; background: none; border: 0; color: var(--accent); text-decoration: underline; cursor: pointer; padding: 0; }
        .pair { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1.7fr); gap: 0 2.5rem; align-items: start; }
        .notice { border: 1px solid var(--kept); background: var(--keptGround); color: var(--kept); border-radius: .4rem; padding: .45rem .8rem; } .notice.bad { border-color: var(--broken); background: var(--brokenGround); color: var(--broken); }
        .news { list-style: none; margin: 0; padding: 0; font-size: .92rem; } .news li { display: grid; grid-template-columns: 5.5rem 5.2rem minmax(0, 1fr); gap: .75rem; padding: .35rem 0; border-top: 1px solid var(--line); } .news .when, .decision .when { color: var(--quiet); }
        .decision { border-top: 1px solid var(--line); padding: .55rem 0; } .decision p { margin: 0; } .decision-head { font-size: .9rem; } .reasons { padding-left: 1.2rem; margin: .4rem 0 .6rem; } .reasons li { margin: .2rem 0; overflow-wrap: anywhere; }
        .card { border: 1px solid var(--line); border-radius: .6rem; background: var(--panel); padding: 1.25rem 1.5rem; max-width: 44rem; margin: 2rem auto; } .card.narrow { max-width: 24rem; } .card h1 { font-size: 1.3rem; }
        .choice { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem; } form { margin: 0; } label { display: block; font-weight: 600; }
        input[type=password] { font: inherit; width: 100%; padding: .4rem .6rem; border: 1px solid var(--quiet); border-radius: .4rem; background: var(--ground); color: var(--ink); }
        .timeline { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem .9rem .6rem; margin: 1rem 0 0; } .timeline .scroll { border: 0; }
        @media screen and (max-width: 62rem) { .pair { grid-template-columns: minmax(0, 1fr); } }
        @media screen and (max-width: 40rem) { .wide { padding: 0 .9rem; } .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .5rem; } .tile { padding: .45rem .6rem; } .tile .figure { font-size: 1.2rem; }
          .facts { grid-template-columns: minmax(0, 1fr); } table.sentences > tbody > tr { display: grid !important; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .35rem .9rem; padding: .7rem 0 !important; }
          table.sentences > tbody > tr > td { display: block !important; padding: 0 !important; min-width: 0; } table.sentences > tbody > tr > td::before { content: attr(data-column) !important; display: block; color: var(--quiet); font-size: .78rem; }
          table.sentences > tbody > tr > td:first-child { grid-column: 1 / -1; font-size: 1.02rem; } table.sentences > tbody > tr > td:first-child::before { display: none; } .metered { width: 100%; }
          .asof { display: none; } .news li { grid-template-columns: max-content minmax(0, 1fr); gap: .1rem .75rem; } .news li > span:last-child { grid-column: 1 / -1; } .card { padding: 1rem; margin: 1rem 0; } .button { padding: .4rem .8rem; } }
        @media (prefers-reduced-motion: no-preference) { .meter rect { transition: width .4s linear; } }

        """

    /// Asks for the page again whenever there is something new, and puts what has changed in its place. Without it the page can be read as it
    /// was when it was asked for.
    static let script = """
        (function () {
          "use strict";
          var sign = document.getElementById("live");
          if (!window.EventSource || !window.fetch || !sign) { return; }
          var busy = false, again = false;

          function say(kind, text) {
            if (sign.textContent !== text) { sign.textContent = text; sign.className = "live " + kind; }
          }

          // What was opened stays open, and what had the focus has it again.
          function put(here, fresh) {
            var open = Array.from(here.querySelectorAll("details[open]")).map(function (each) { return each.id; });
            var focused = here.contains(document.activeElement) ? document.activeElement : null;
            var address = focused && focused.getAttribute("href");
            var place = focused && focused.closest("details");
            var scrolls = Array.from(here.querySelectorAll(".scroll")).map(function (each) { return each.scrollLeft; });
            here.innerHTML = fresh.innerHTML;
            open.forEach(function (id) { var each = id && document.getElementById(id); if (each) { each.open = true; } });
            here.querySelectorAll(".scroll").forEach(function (each, index) { each.scrollLeft = scrolls[index] || 0; });
            if (!focused) { return; }
            var heir = null;
            if (address) {
              heir = Array.from(here.querySelectorAll("a")).find(function (each) { return each.getAttribute("href") === address; });
            } else if (place && place.id) {
              heir = document.querySelector("#" + CSS.escape(place.id) + " > summary");
            } else if (focused.classList.contains("scroll")) {
              heir = here.querySelector(".scroll");
            }
            if (heir) { heir.focus({ preventScroll: true }); }
          }

          function refresh() {
            if (document.hidden) { return; }
            if (busy) { again = true; return; }
            busy = true;
            fetch(location.pathname, { credentials: "same-origin", cache: "no-store", redirect: "error" }).then(function (answer) {
              if (!answer.ok) { throw new Error("status " + answer.status); }
              return answer.text();
            }).then(function (text) {
              var page = new DOMParser().parseFromString(text, "text/html");
              page.querySelectorAll("[data-live]").forEach(function (fresh) {
                var here = document.querySelector("[data-live=\\"" + CSS.escape(fresh.dataset.live) + "\\"]");
                if (here && here.innerHTML !== fresh.innerHTML) { put(here, fresh); }
              });
              document.documentElement.dataset.at = page.documentElement.dataset.at || "";
              say("on", "live");
            }).catch(function () { say("off", "not connected"); }).then(function () {
              busy = false;
              if (again) { again = false; refresh(); }
            });
          }

          var source = new EventSource("/events");
          source.addEventListener("outlook", refresh);
          source.addEventListener("error", function () { say("off", "not connected"); });
          document.addEventListener("visibilitychange", refresh);
          window.addEventListener("pagehide", function () { source.close(); });
        })();

        """
}
