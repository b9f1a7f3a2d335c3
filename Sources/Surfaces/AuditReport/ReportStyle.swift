/// How the page looks: by the reader's light or dark preference, and on paper.
package enum ReportStyle {
    package static let sheet: Markup = """

        :root { --ground: #fff; --panel: #f6f7f8; --ink: #1b1f23; --quiet: #5a636c; --line: #d9dde1; --accent: #1f5fa8; --kept: #17693a; --keptGround: #dff3e6;
          --broken: #a3201d; --brokenGround: #fbe3e2; --open: #6b5200; --openGround: #f8efd2; --upload: #8fb7e3; --stop: #b3541e; --down: #f7dcda; --deadline: #7a3fa0; }
        @media (prefers-color-scheme: dark) { :root { --ground: #15181b; --panel: #1e2327; --ink: #e6e9ec; --quiet: #9aa5af; --line: #353c43; --accent: #7db4f0;
          --kept: #7fdba0; --keptGround: #12351f; --broken: #ff9d98; --brokenGround: #451917; --open: #ecd07a; --openGround: #3a300f; --upload: #31557c; --stop: #f09a63;
          --down: #3d2322; --deadline: #cb9bec; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 76rem; padding: 1.5rem 1.25rem 3rem; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
        h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.25rem 0 .6rem; overflow-wrap: anywhere; }
        h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
        section.task { border-top: 2px solid var(--line); margin-top: 2rem; }
        section.task > h2 { margin-top: 1.25rem; } h2 .badge { font-size: .9rem; }
        p { margin: 0 0 .6rem; overflow-wrap: anywhere; } .lead { font-size: 1.05rem; } .quiet { color: var(--quiet); font-size: .9em; }
        a { color: var(--accent); }
        code { font: .88em/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
        dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .2rem 1.25rem; margin: 0 0 .5rem; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
        .scroll { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line); }
        th:last-child, td:last-child { padding-right: 0; }
        th { color: var(--quiet); font-weight: 600; font-size: .85em; white-space: nowrap; }
        .number { text-align: right; white-space: nowrap; } .when { white-space: nowrap; font-variant-numeric: tabular-nums; }
        td > code { white-space: nowrap; }
        .badge { display: inline-block; font-size: .85em; font-weight: 600; line-height: 1.5; padding: 0 .55em; border-radius: .3rem; white-space: nowrap; vertical-align: middle; }
        .kept { color: var(--kept); background: var(--keptGround); } .broken { color: var(--broken); background: var(--brokenGround); } .notObserved { color: var(--open); background: var(--openGround); }
        .tag { display: inline-block; font-size: .8em; padding: 0 .45em; border: 1px solid var(--line); border-radius: .3rem; color: var(--quiet); white-space: nowrap; }
        details { margin-top: .25rem; } summary { cursor: pointer; color: var(--accent); font-size: .9em; width: max-content; max-width: 100%; }
        details[open] { background: var(--panel); border-radius: .4rem; padding: .4rem .75rem .6rem; } details table { margin-top: .5rem; font-size: .86rem; } details ul { margin: .6rem 0 0; padding-left: 1.2rem; }
        ul.failures { margin: 0; padding-left: 1.2rem; } ul.failures .when { color: var(--quiet); margin-right: .4rem; }
        .plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem 2rem; } .plots figure { margin: .5rem 0; } .plots svg, .gantt svg { display: block; width: 100%; height: auto; } .gantt { margin: .5rem 0; } .gantt svg { min-width: 720px; }
        .bar.kept { fill: var(--kept); background: none; fill-opacity: .45; } .bar.broken { fill: var(--broken); background: none; fill-opacity: .45; } .bar.notObserved { fill: var(--open); background: none; fill-opacity: .35; }
        .diagonal { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 4 3; } .dot { fill: var(--accent); fill-opacity: .6; } .reach { stroke: var(--ink); stroke-width: 1.5; } .proof h2 { margin-top: .5rem; }
        footer { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; color: var(--quiet); font-size: .88rem; }
        .timeline { margin: 1.25rem 0 .5rem; } .timeline svg { display: block; width: 100%; min-width: 720px; height: auto; }
        figcaption { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem; color: var(--quiet); margin-top: .3rem; }
        .key { display: inline-block; width: .9em; height: .9em; margin-right: .4em; vertical-align: -.1em; }
        .key-progress { height: 0; border-top: 2.5px solid var(--accent); vertical-align: .25em; width: 1.3em; } .key-mark { border: 2px solid var(--accent); border-radius: 50%; background: var(--ground); }
        .key-stop { background: var(--stop); width: .3em; } .key-upload { background: var(--upload); } .key-compress { background: var(--deadline); height: .4em; vertical-align: .2em; } .key-forecast { background: var(--accent); opacity: .3; } .key-down { background: var(--down); }
        .key-failure { background: linear-gradient(45deg, transparent 42%, var(--broken) 42%, var(--broken) 58%, transparent 58%), linear-gradient(-45deg, transparent 42%, var(--broken) 42%, var(--broken) 58%, transparent 58%); }
        .key-deadline { height: 1em; width: 0; border-left: 2px dashed var(--deadline); }
        svg text { font: 11.5px system-ui, "DejaVu Sans", sans-serif; fill: var(--quiet); } svg text.lane { fill: var(--ink); } svg text.deadline-name { fill: var(--deadline); }
        .grid { stroke: var(--line); stroke-width: 1; } .progress { fill: none; stroke: var(--accent); stroke-width: 2.5; stroke-linejoin: round; }
        .mark { fill: var(--ground); stroke: var(--accent); stroke-width: 2; } .mark.resumed { fill: var(--accent); } svg .mark.broken { fill: var(--ground); stroke: var(--quiet); stroke-dasharray: 2 2; }
        .upload { fill: var(--upload); } svg .upload.broken { fill: none; stroke: var(--quiet); stroke-dasharray: 3 2; } .stop { fill: var(--stop); } .compress { fill: var(--deadline); } .forecast { fill: var(--accent); fill-opacity: .16; } .median { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-dasharray: 2 4; } .down { fill: var(--down); }
        .failure { stroke: var(--broken); stroke-width: 3; fill: none; stroke-linecap: round; } .fallback { stroke: var(--quiet); stroke-width: 1.2; stroke-dasharray: 3 4; } .again { fill: var(--kept); }
        .deadline { stroke: var(--deadline); stroke-width: 2; stroke-dasharray: 6 4; } .done { stroke: var(--kept); stroke-width: 3; fill: none; stroke-linecap: round; stroke-linejoin: round; }
        .node0 { fill: var(--accent); fill-opacity: .22; } .node1 { fill: var(--kept); fill-opacity: .25; } .node2 { fill: var(--deadline); fill-opacity: .22; } .node3 { fill: var(--stop); fill-opacity: .22; }
        @media screen and (max-width: 40rem) { body { padding: 1rem .8rem 2rem; } dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; } td { white-space: nowrap; }
          details td:first-child, details td:last-child { white-space: normal; min-width: 8rem; } table.sentences, table.sentences > tbody { display: block; width: 100%; } table.sentences > thead { display: none; } table.sentences > tbody > tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0; }
          table.sentences > tbody > tr > td { display: inline-block; border: 0; padding: .1rem .9rem .1rem 0; text-align: left; white-space: normal; max-width: 100%; overflow-wrap: anywhere; } table.sentences > tbody > tr > td:last-child { display: block; padding-right: 0; }
          table.sentences > tbody > tr > td.number::before { content: attr(data-column) " "; color: var(--quiet); font-size: .85em; } table.sentences td > br { display: none; } table.sentences td > br + .quiet { margin-left: .5em; } }
        @media print { :root { --ground: #fff; --panel: #fff; --ink: #000; --quiet: #444; --line: #bbb; --accent: #1f5fa8; --kept: #17693a; --keptGround: #fff; --broken: #a3201d; --brokenGround: #fff;
          --open: #6b5200; --openGround: #fff; --upload: #8fb7e3; --stop: #b3541e; --down: #f7dcda; --deadline: #7a3fa0; }
          body { max-width: none; padding: 0; font-size: 10pt; print-color-adjust: exact; -webkit-print-color-adjust: exact; } .badge { border: 1px solid; } a { color: inherit; text-decoration: none; }
          h2, h3 { break-after: avoid; } tr, figure, li { break-inside: avoid; } section.task { break-before: page; } .plots { grid-template-columns: 1fr 1fr; } .gantt svg, .timeline svg { min-width: 0; } .scroll { overflow: visible; } details:not([open]) { display: none; }
          table { font-size: 8.5pt; } }

        """
}
