/// Which checkpoints are taken now, and which wait, where their uploads together may take so many bytes a second.
///
/// The link is a queue that is served at the ceiling: what is admitted adds its bytes, and the next one is admitted when the queue runs empty before
/// the next look. So in any time T no more than ceiling · (T + the time between looks), and one upload more, is admitted.
///
/// Where a limit bounds the work that may be lost, an upload must begin in time. Served in the order of these times (earliest deadline first, which
/// keeps all of them if any order does: Jackson, "Scheduling a production line to minimize maximum tardiness", UCLA 1955), each has to begin early
/// enough for all after it; where that time comes before the next look it is begun, due or not. All others go in the order of the loss that
/// a byte avoids, each only if everybody with a limit can still be served after it.
package struct UploadAdmission: Hashable, Sendable {
    package var ceilingBytesPerSecond: Double
    /// Between two looks.
    package var stepSeconds: Double

    package init(ceilingBytesPerSecond: Double, stepSeconds: Double) {
        precondition(ceilingBytesPerSecond > 0 && stepSeconds > 0)
        self.ceilingBytesPerSecond = ceilingBytesPerSecond
        self.stepSeconds = stepSeconds
    }

    package struct Upload: Hashable, Sendable {
        /// Copies counted.
        package var bytes: Double
        /// Expected loss that a byte of it avoids, for each second that it is there sooner.
        package var valuePerByte: Double
        package var isDue: Bool
        /// Time that it may wait without breaking a limit, seconds; below 0: it cannot be kept any more. nil: there is none.
        package var slackSeconds: Double?
        package init(bytes: Double, valuePerByte: Double, isDue: Bool, slackSeconds: Double?) {
            self.bytes = bytes
            self.valuePerByte = valuePerByte
            self.isDue = isDue
            self.slackSeconds = slackSeconds
        }
    }

    /// What is left in the queue now of uploads that began at these times, seconds.
    package func backlog(of began: [(atSeconds: Double, bytes: Double)], nowSeconds: Double) -> Double {
        var left = 0.0
        var time = -Double.infinity
        func drain(to next: Double) { left = time.isFinite ? max(0, left - ceilingBytesPerSecond * max(0, next - time)) : 0 }
        for upload in began.sorted(by: { $0.atSeconds < $1.atSeconds }) {
            drain(to: upload.atSeconds)
            left += max(0, upload.bytes)
            time = upload.atSeconds
        }
        drain(to: nowSeconds)
        return left
    }

    /// - Returns: indices of those that begin now, in the order in which they do. Equal ones go by their index.
    package func admitted(_ uploads: [Upload], backlogBytes: Double) -> [Int] {
        var backlog = max(0, backlogBytes)
        var admitted: [Int] = []
        var limited = uploads.indices.filter { uploads[$0].slackSeconds != nil }.sorted { slack(uploads[$0]) < slack(uploads[$1]) }
        var others = uploads.indices.filter { uploads[$0].isDue }.sorted { uploads[$0].valuePerByte > uploads[$1].valuePerByte }
        while backlog < ceilingBytesPerSecond * stepSeconds {
            let chain = Chain(limited.map { uploads[$0] }, ceilingBytesPerSecond)
            let places = Dictionary(uniqueKeysWithValues: limited.enumerated().map { ($1, $0) })
            let next: Int?
            if let first = limited.first, chain.latestStart < stepSeconds {
                next = first
            } else {
                next = others.first { candidate in
                    // Once it is served, the others are left.
                    let rest = places[candidate].map { chain.latestStart(without: $0) } ?? chain.latestStart
                    return rest >= max(stepSeconds, (backlog + uploads[candidate].bytes) / ceilingBytesPerSecond)
                }
            }
            guard let next else { break }
            admitted.append(next)
            backlog += max(0, uploads[next].bytes)
            limited.removeAll { $0 == next }
            others.removeAll { $0 == next }
        }
        return admitted
    }

    /// When the first of those with a limit has to begin for all to begin in time, seconds from now; infinite where none has one.
    package func latestStartSeconds(_ uploads: [Upload]) -> Double {
        Chain(uploads.filter { $0.slackSeconds != nil }.sorted { slack($0) < slack($1) }, ceilingBytesPerSecond).latestStart
    }

    private func slack(_ upload: Upload) -> Double { upload.slackSeconds ?? .infinity }

    /// Uploads served one after the other by their slack. The first may begin as late as the least of what each is left by those before it.
    private struct Chain {
        private let seconds: [Double]
        /// The least over those before each place, and over those from it on.
        private var leastBefore: [Double] = [.infinity]
        private var leastFrom: [Double] = [.infinity]

        init(_ uploads: [Upload], _ ceiling: Double) {
            seconds = uploads.map { max(0, $0.bytes) / ceiling }
            var sum = 0.0
            var left: [Double] = []
            for (upload, seconds) in zip(uploads, seconds) {
                left.append((upload.slackSeconds ?? .infinity) - sum)
                sum += seconds
            }
            for value in left { leastBefore.append(min(leastBefore[leastBefore.count - 1], value)) }
            for value in left.reversed() { leastFrom.append(min(leastFrom[leastFrom.count - 1], value)) }
            leastFrom.reverse()
        }

        var latestStart: Double { leastFrom[0] }

        func latestStart(without place: Int) -> Double { min(leastBefore[place], leastFrom[place + 1] + seconds[place]) }
    }
}
