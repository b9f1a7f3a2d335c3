import CCurl
import Synchronization

/// One of libcurl's handles with the connections that it keeps.
struct Handle: @unchecked Sendable {
    let easy: UnsafeMutableRawPointer
    /// What drives it where libcurl alone would wait for the wrong connection; nil: it does so itself.
    let multi: UnsafeMutableRawPointer?

    func perform() -> CURLcode { multi.map { cairn_curl_perform($0, easy, 10) } ?? curl_easy_perform(easy) }
    func end() {
        curl_easy_cleanup(easy)
        if let multi { curl_multi_cleanup(multi) }
    }
}

/// Handles that nobody uses.
///
/// A dead server is no news to a kept connection: whoever meets one broken asks again with `fresh`.
final class HandlePool: Sendable {
    private let idle = Mutex<[Handle]>([])
    private let most: Int
    private let isDriven: Bool

    static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Parameters:
    ///   - most: handles that are kept.
    ///   - isDriven: whether handles are driven by us.
    init(most: Int, isDriven: Bool = false) {
        self.most = most
        self.isDriven = isDriven
    }

    /// - Parameter fresh: one without any connection.
    func take(fresh: Bool = false) -> Handle? {
        guard Self.isReady else { return nil }
        if !fresh, let kept = idle.withLock({ $0.popLast() }) {
            curl_easy_reset(kept.easy)
            return kept
        }
        guard let easy = curl_easy_init() else { return nil }
        guard isDriven else { return Handle(easy: easy, multi: nil) }
        guard let multi = curl_multi_init() else {
            curl_easy_cleanup(easy)
            return nil
        }
        return Handle(easy: easy, multi: UnsafeMutableRawPointer(multi))
    }

    func giveBack(_ handle: Handle) {
        let surplus: Handle? = idle.withLock { idle in
            if idle.count >= most { return handle }
            idle.append(handle)
            return nil
        }
        surplus?.end()
    }

    deinit { idle.withLock { for handle in $0 { handle.end() } } }
}
