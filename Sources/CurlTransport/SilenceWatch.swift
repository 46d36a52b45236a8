/// Notices when a transfer stands still.
///
/// libcurl's own low-speed limit counts in whole seconds, over an average of several.
struct SilenceWatch {
    private let limit: Duration
    private var movedBytes = 0
    private var since = ContinuousClock.now

    init(limitMilliseconds: Int) {
        limit = .milliseconds(limitMilliseconds)
    }

    /// Whether nothing moved for longer than the limit.
    ///
    /// - Parameter movedBytes: in both directions since the start; `nil` while connecting, which
    ///   has a limit of its own.
    mutating func isOver(movedBytes: Int?) -> Bool {
        let now = ContinuousClock.now
        if movedBytes != self.movedBytes {
            self.movedBytes = movedBytes ?? -1
            since = now
        }
        return now - since > limit
    }
}
