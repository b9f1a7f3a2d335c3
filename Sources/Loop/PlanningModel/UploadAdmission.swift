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
        var urgent = uploads.indices.filter { uploads[$0].slackSeconds != nil }.sorted { slack(uploads[$0]) < slack(uploads[$1]) }
        var others = uploads.indices.filter { uploads[$0].isDue }.sorted { uploads[$0].valuePerByte > uploads[$1].valuePerByte }
        while backlog < ceilingBytesPerSecond * stepSeconds {
            let latest = latestStart(urgent.map { uploads[$0] })
            let next: Int?
            if let first = urgent.first, latest < stepSeconds {
                next = first
            } else {
                next = others.first { candidate in
                    // Without it: it would be served already.
                    let rest = uploads[candidate].slackSeconds == nil ? latest : latestStart(urgent.filter { $0 != candidate }.map { uploads[$0] })
                    return rest >= max(stepSeconds, (backlog + uploads[candidate].bytes) / ceilingBytesPerSecond)
                }
            }
            guard let next else { break }
            admitted.append(next)
            backlog += max(0, uploads[next].bytes)
            urgent.removeAll { $0 == next }
            others.removeAll { $0 == next }
        }
        return admitted
    }

    /// When the first of those with a limit has to begin for all to begin in time, seconds from now; infinite where none has one.
    package func latestStartSeconds(_ uploads: [Upload]) -> Double { latestStart(uploads.sorted { slack($0) < slack($1) }) }

    private func slack(_ upload: Upload) -> Double { upload.slackSeconds ?? .infinity }

    /// When the first of them has to begin for all to begin in time, seconds from now. - Parameter uploads: by their slack.
    private func latestStart(_ uploads: [Upload]) -> Double {
        uploads.reversed().reduce(Double.infinity) { later, upload in
            min(slack(upload), later - max(0, upload.bytes) / ceilingBytesPerSecond)
        }
    }
}
