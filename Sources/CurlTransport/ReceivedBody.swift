internal import CCurl

/// The body of an answer as it comes in, never more than its limit.
final class ReceivedBody {
    private(set) var bytes: [UInt8] = []
    private(set) var isTooLarge = false
    private let limitBytes: Int

    init(limitBytes: Int) {
        self.limitBytes = limitBytes
    }

    func clear() {
        bytes = []
        isTooLarge = false
    }

    /// What libcurl calls with each piece; another count than the piece's ends the transfer.
    static let append: curl_write_callback = { piece, _, count, context in
        guard let piece, let context else { return 0 }
        let body = Unmanaged<ReceivedBody>.fromOpaque(context).takeUnretainedValue()
        return body.append(UnsafeRawBufferPointer(start: piece, count: count)) ? count : 0
    }

    private func append(_ piece: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count + piece.count <= limitBytes else {
            isTooLarge = true
            return false
        }
        bytes.append(contentsOf: piece)
        return true
    }
}
