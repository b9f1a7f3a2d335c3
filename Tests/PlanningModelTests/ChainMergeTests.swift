import PlanningModel
import Testing

@Suite("Merging a chain is a question of lot sizes")
struct ChainMergeTests {
    /// Ten layers of 10 bytes each 100 s, of which merging keeps half; a second costs 1, a byte sent 0.1, a byte kept for a second 0.001.
    private func chain(
        layers: [Double] = Array(repeating: 10, count: 10), shrink: Double = 0.5, rate: Double = 0, remaining: Double = 1e6, kept: Double = 0,
        layerSeconds: Double = 0, replication: Double = 1
    ) -> ChainMerge {
        ChainMerge(
            layerBytes: layers, shrink: shrink, replication: replication, intervalSeconds: 100, remainingSeconds: remaining, keptSeconds: kept,
            failureRatePerSecond: rate, prices: ObjectivePrices(perSecond: 1, perByteSent: 0.1, perByteSecondStored: 0.001),
            fetchSecondsPerByte: 0.01,
            uploadSecondsPerByte: 0.02, mergeSecondsPerByte: 0.004, layerSeconds: layerSeconds)
    }

    @Test("all into one, worked by hand")
    func worked() {
        let option = chain(rate: 1e-4, kept: 200, layerSeconds: 0.5, replication: 2).option(keep: 0)
        // 100 bytes become 50, sent in two copies.
        #expect(option.sentBytes == 50)
        // 0.1·2·50 sent, 0.001·2·50·200 kept twice for 200 s, 0.05·(0.004·100 + 0.02·50) s of the guest's.
        #expect(abs(option.cost - (10 + 20 + 0.07)) < 1e-9)
        // A recovery fetches 50 bytes less (0.5 s) and opens 9 layers less (4.5 s), and sends 50 bytes less (5).
        #expect(abs(option.recoverySavedSeconds - 5) < 1e-9)
        #expect(abs(option.savingPerSecond - (0.001 * 2 * 50 + 1e-4 * (5 + 5))) < 1e-9)
        #expect(abs(option.saving - option.savingPerSecond * 1e6) < 1e-6)
        // Ten layers came in 1,000 s, half of which were there on average.
        #expect(abs(option.spent - option.savingPerSecond * 500) < 1e-9)
    }

    @Test("it pays when the long chain has cost what merging costs, and not before: the square-root rule")
    func lotSize() {
        // Each layer hides 5 bytes: h = 0.005 a second and layer; merging n of them costs 0.5 n + 0.0007 n·…: spent = 0.0025·n²·100.
        func pays(_ count: Int) -> Bool { chain(layers: Array(repeating: 10, count: count)).option(keep: 0).pays }
        let first = (2...50).first(where: pays)
        // cost = n·(0.1·5 + 0.05·(0.004·10 + 0.02·5)) = 0.507 n; spent = 0.001·5n·100n/2 = 0.25 n²: from n = 2.028 on.
        #expect(first == 3)
        #expect((3...50).allSatisfy(pays))
    }

    @Test("near the end of the task it does not pay any more")
    func end() {
        #expect(chain(remaining: 1e6).best != nil)
        // All ten: saving 0.05 a second, cost 5.07.
        #expect(chain(remaining: 101).best == nil && chain(remaining: 103).best != nil)
    }

    @Test("where nothing is hidden and nothing fails, it never pays")
    func nothingHidden() { #expect(chain(shrink: 1).best == nil) }

    @Test("with failures the number of layers alone makes it pay")
    func failures() {
        #expect(chain(shrink: 1, rate: 1e-3, layerSeconds: 10).best != nil)
        #expect(chain(shrink: 1, rate: 1e-9, layerSeconds: 10).best == nil)
    }

    @Test("a large old layer is left alone where sending it again would cost more than it saves")
    func largeBase() throws {
        let best = try #require(chain(layers: [1e6] + Array(repeating: 10, count: 20), shrink: 0.9999, rate: 1e-3, layerSeconds: 10).best)
        #expect(best.keep == 1)
    }

    @Test("one layer is nothing to merge")
    func one() { #expect(chain(layers: [10]).options.isEmpty && chain(layers: []).best == nil) }
}
