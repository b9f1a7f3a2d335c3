import DataPath
import Ports
import Vocabulary

package enum EngineError: Error, Hashable, Sendable {
    case store(StoreError)
    case hypervisor(HypervisorError)
    case disk(DeltaDiskError)
    /// Another epoch is in force: this node must leave the task alone.
    case staleEpoch(task: TaskID, epoch: Epoch)
    case noSuchTask(TaskID)
    case noSuchCheckpoint(TaskID, CheckpointID)
    /// What is in the store is not what was committed.
    case damaged(what: String, detail: String)
    case tooNew(what: String, format: Int)
    case local(path: String, detail: String)

    package var isRetryable: Bool {
        switch self {
        case .store(let error): error.isRetryable
        case .hypervisor(let error): error.isRetryable
        case .disk(let error): error.isRetryable
        case .staleEpoch, .noSuchTask, .noSuchCheckpoint, .damaged, .tooNew, .local: false
        }
    }
}

extension EngineError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .store(let error): "\(error)"
        case .hypervisor(let error): "\(error)"
        case .disk(let error): "\(error)"
        case .staleEpoch(let task, let epoch): "\(task): epoch \(epoch) is over, another node has the task"
        case .noSuchTask(let task): "this node has no task \(task)"
        case .noSuchCheckpoint(let task, let checkpoint): "\(task) has no committed checkpoint \(checkpoint)"
        case .damaged(let what, let detail): "\(what) is damaged: \(detail)"
        case .tooNew(let what, let format): "\(what) has format \(format), and this version knows \(Format.version): use a later version of Cairn"
        case .local(let path, let detail): "\(path): \(detail)"
        }
    }
}

/// Runs what throws a port's error, and throws the engine's.
func storing<Value>(_ body: () async throws(StoreError) -> Value) async throws(EngineError) -> Value {
    do throws(StoreError) { return try await body() } catch { throw .store(error) }
}

func hypervising<Value>(_ body: () async throws(HypervisorError) -> Value) async throws(EngineError) -> Value {
    do throws(HypervisorError) { return try await body() } catch { throw .hypervisor(error) }
}

func onDisk<Value>(_ body: () async throws(DeltaDiskError) -> Value) async throws(EngineError) -> Value {
    do throws(DeltaDiskError) { return try await body() } catch { throw .disk(error) }
}
