import Foundation
import Hummingbird

extension Route {
    /// Text that is made anew for each who asks.
    package static func text(
        _ path: String, as type: String, for access: Access, _ make: @escaping @Sendable () async throws -> String
    ) -> Route {
        Route(.get, path, for: access) { call in
            try call.query.only()
            return .bytes(Data(try await make().utf8), as: type)
        }
    }
}
