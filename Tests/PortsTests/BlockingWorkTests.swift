import Foundation
import Ports
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("Blocking work has its own threads, and their priority")
struct BlockingWorkTests {
    /// Of the calling thread.
    private static func nice() async -> Int32 { await onBlockingThread { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) } }

    @Test("in the background it gives way, and nothing else does, before, beside and after")
    func priority() async {
        let before = await Self.nice()
        let (inside, child, not) = await inBackground {
            let child = await withTaskGroup(of: Int32.self) { group in
                group.addTask { await Self.nice() }
                return await group.next() ?? -1
            }
            return (await Self.nice(), child, await inBackground(false) { await Self.nice() })
        }
        #expect(inside > before)
        #expect(child == inside)
        #expect(not == before)
        #expect(await Self.nice() == before)
    }

    @Test("what it throws comes out")
    func failure() async {
        struct Wrong: Error, Equatable { var number: Int }
        await #expect(throws: Wrong(number: 7)) {
            try await inBackground { () throws(Wrong) -> Int in
                try await onBlockingThread { () throws(Wrong) -> Int in throw Wrong(number: 7) }
            }
        }
    }
}
