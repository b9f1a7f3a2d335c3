import CResources
import Foundation

/// How threads for blocking work are run.
package enum BlockingWork {
    /// In the background: guests come first. It holds for all that a task does inside of `inBackground`, and for its child tasks.
    @TaskLocal package static var isInBackground = false

    /// A tenth of a guest's claim on a processor when both want it, all of the processor when nobody else does.
    /// Source: sched(7), "The nice value": each step is a factor of about 1.25.
    static let backgroundNice: Int32 = 10
}

/// Runs blocking work (C libraries, file system calls) on a thread of its own, never on the cooperative pool, and never behind other such
/// work: on two cores, Dispatch's global queue runs three blocking calls at a time and lets a fourth wait.
package func onBlockingThread<Value: Sendable, Failure: Error>(_ body: @escaping @Sendable () throws(Failure) -> Value) async throws(Failure) -> Value
{
    let isInBackground = BlockingWork.isInBackground
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            // The thread ends with the work, and its priority with it. If it could not be lowered, the work is done all the same.
            if isInBackground { _ = cairn_lower_thread_priority(BlockingWork.backgroundNice) }
            do throws(Failure) {
                continuation.resume(returning: .success(try body()))
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
    }
    return try result.get()
}

/// Runs all blocking work of `body` at low priority for processors and disks.
package func inBackground<Value: Sendable, Failure: Error>(
    _ isInBackground: Bool = true, _ body: () async throws(Failure) -> Value
) async throws(Failure) -> Value {
    let result: Result<Value, Failure> = await BlockingWork.$isInBackground.withValue(isInBackground) {
        do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
    }
    return try result.get()
}
