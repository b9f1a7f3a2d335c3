import Foundation

/// Runs blocking work (C libraries, file system calls) on a thread of its own, never on the cooperative pool, and never behind other such
/// work: on two cores, Dispatch's global queue runs three blocking calls at a time and lets a fourth wait.
package func onBlockingThread<Value: Sendable, Failure: Error>(_ body: @escaping @Sendable () throws(Failure) -> Value) async throws(Failure) -> Value
{
    let result: Result<Value, Failure> = await withCheckedContinuation { continuation in
        Thread.detachNewThread {
            do throws(Failure) {
                continuation.resume(returning: .success(try body()))
            } catch {
                continuation.resume(returning: .failure(error))
            }
        }
    }
    return try result.get()
}
