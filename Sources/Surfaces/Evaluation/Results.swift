/// What an evaluation found, as it is written to JSON. Tables, figures and pages are made from this alone.
package struct EvaluationResults: Codable, Hashable, Sendable {
    package var measuredAt: String
    package var command: String
    package var machine: String
    package var isQuick: Bool
    package var seconds: Double
    package var scenarios: [ScenarioResult]
    package init(measuredAt: String, command: String, machine: String, isQuick: Bool, seconds: Double, scenarios: [ScenarioResult]) {
        self.measuredAt = measuredAt
        self.command = command
        self.machine = machine
        self.isQuick = isQuick
        self.seconds = seconds
        self.scenarios = scenarios
    }
}

/// One table or figure of the paper, repeated.
package struct ScenarioResult: Codable, Hashable, Sendable {
    /// `table-2`, `figure-3` …
    package var id: String
    package var title: String
    /// What was done, and with what sizes.
    package var setup: String
    package var tables: [DataTable]
    /// What the paper has, as numbers or as its words.
    package var paper: [DataTable]
    package var paperSays: [String]
    package var charts: [Chart]
    package var findings: [ShapeFinding]
    /// What could not be measured, and why.
    package var missing: [String]
    /// Of a scenario that was measured again after the others; nil: with them.
    package var again: Run?
    package struct Run: Codable, Hashable, Sendable {
        package var at: String
        package var command: String
        package var seconds: Double
        package init(at: String, command: String, seconds: Double) {
            self.at = at
            self.command = command
            self.seconds = seconds
        }
    }
    package init(
        id: String, title: String, setup: String, tables: [DataTable] = [], paper: [DataTable] = [], paperSays: [String] = [], charts: [Chart] = [],
        findings: [ShapeFinding] = [], missing: [String] = []
    ) {
        self.id = id
        self.title = title
        self.setup = setup
        self.tables = tables
        self.paper = paper
        self.paperSays = paperSays
        self.charts = charts
        self.findings = findings
        self.missing = missing
    }
}

/// Rows of numbers under names with units.
package struct DataTable: Codable, Hashable, Sendable {
    package struct Row: Codable, Hashable, Sendable {
        package var name: String
        /// nil: there is none.
        package var values: [Double?]
        package init(_ name: String, _ values: [Double?]) { self.name = name; self.values = values }
    }
    package var title: String
    /// Of the rows' names.
    package var rowTitle: String
    package var columns: [String]
    package var rows: [Row]
    package init(title: String, rowTitle: String, columns: [String], rows: [Row]) {
        self.title = title
        self.rowTitle = rowTitle
        self.columns = columns
        self.rows = rows
    }
}

/// A statement about a shape, and whether the numbers bear it out.
package struct ShapeFinding: Codable, Hashable, Sendable {
    package var statement: String
    package var holds: Bool
    /// The numbers that it was judged by.
    package var because: String
    /// What Cairn promises, and not only what the paper found: an evaluation in which it does not hold has failed.
    package var isPromise: Bool?
    package init(_ statement: String, holds: Bool, because: String, isPromise: Bool? = nil) {
        self.statement = statement
        self.holds = holds
        self.because = because
        self.isPromise = isPromise
    }

    /// The same, as a promise.
    package var promised: ShapeFinding { ShapeFinding(statement, holds: holds, because: because, isPromise: true) }
}

/// A figure as data.
package struct Chart: Codable, Hashable, Sendable {
    package enum Kind: String, Codable, Hashable, Sendable {
        /// Segments on top of each other, one bar a category.
        case stackedBars
        /// A bar a series, side by side in each category.
        case groupedBars
        case lines
    }
    package struct Series: Codable, Hashable, Sendable {
        package var name: String
        /// Bars: one a category. Lines: (x, y) by `xs`.
        package var values: [Double?]
        package var xs: [Double]?
        package init(_ name: String, values: [Double?], xs: [Double]? = nil) {
            self.name = name
            self.values = values
            self.xs = xs
        }
    }
    package struct Marker: Codable, Hashable, Sendable {
        package var x: Double
        package var text: String
        package init(x: Double, text: String) { self.x = x; self.text = text }
    }
    /// The file's name without its ending.
    package var name: String
    package var title: String
    package var kind: Kind
    package var xLabel: String
    package var yLabel: String
    package var categories: [String]
    package var series: [Series]
    package var markers: [Marker]
    package init(
        name: String, title: String, kind: Kind, xLabel: String, yLabel: String, categories: [String] = [], series: [Series], markers: [Marker] = []
    ) {
        self.name = name
        self.title = title
        self.kind = kind
        self.xLabel = xLabel
        self.yLabel = yLabel
        self.categories = categories
        self.series = series
        self.markers = markers
    }
}
