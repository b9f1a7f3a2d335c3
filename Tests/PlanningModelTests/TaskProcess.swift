import PlanningModel

/// A task that runs, stops for checkpoints, fails and recovers, second by second of its own; it knows the rules of the
/// process and none of the formulas.
struct TaskProcess {
    var outlook: Outlook
    var option: CheckpointOption
    /// Positions of the captures, in work from now.
    var captures: [Double]

    init(outlook: Outlook, option: CheckpointOption, plan: CheckpointPlan) {
        self.outlook = outlook
        self.option = option
        captures = []
        guard let due = plan.dueSeconds, let interval = plan.intervalSeconds else { return }
        for index in 0..<Int(plan.checkpoints) { captures.append(due + Double(index) * interval) }
    }

    struct Life {
        var seconds = 0.0
        var failures = 0
        var largestLossSeconds = 0.0
        /// Uploads that went through, and the sum of shares of those that did not.
        var uploads = 0.0
    }

    /// From now to the end.
    func live(_ random: inout Seeded) -> Life {
        var life = Life()
        var position = 0.0
        var saved = -outlook.unsavedSeconds
        var next = 0
        let rate = outlook.failureRatePerSecond
        let window = max(option.latencySeconds, option.costSeconds) - option.stopSeconds
        let speed = window > 0 ? (window - option.interferenceSeconds) / window : 1
        var untilFailure = random.exponential(rate: rate)

        /// Lets time pass at a speed of work; false if a failure cut it short.
        func pass(_ seconds: Double, _ speed: Double) -> Bool {
            if untilFailure >= seconds {
                untilFailure -= seconds
                life.seconds += seconds
                position += seconds * speed
                return true
            }
            life.seconds += untilFailure
            position += untilFailure * speed
            life.failures += 1
            life.largestLossSeconds = max(life.largestLossSeconds, position - saved)
            untilFailure = random.exponential(rate: rate)
            return false
        }

        while true {
            var failed = false
            if next < captures.count {
                let captured = captures[next]
                if !pass(captured - position, 1) || !pass(option.stopSeconds, 0) {
                    failed = true
                } else {
                    let begun = life.seconds
                    if pass(window, speed) {
                        saved = captured
                        next += 1
                        life.uploads += 1
                    } else {
                        life.uploads += window > 0 ? (life.seconds - begun) / window : 0
                        failed = true
                    }
                }
            } else {
                if pass(outlook.workSeconds - position, 1) { return life }
                failed = true
            }
            if failed {
                while !pass(option.recoverySeconds, 0) {}
                position = saved
            }
        }
    }
}
