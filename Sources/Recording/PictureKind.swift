internal import ReplicaStore

/// What kind of picture a file is, by its first bytes.
public enum PictureKind: String, CaseIterable, Sendable {
    case jpeg = "jpg"
    case png
    case heif = "heic"
    case avif
    case webp
    case gif
    case tiff = "tif"

    /// How the name of such a file ends.
    public var fileExtension: String { rawValue }

    /// As many as are looked at.
    static let headBytes = 12

    /// - Parameter head: the first bytes of a file.
    /// - Returns: `nil` for anything else.
    public init?(_ head: [UInt8]) {
        func has(_ text: String, at place: Int = 0) -> Bool {
            head.dropFirst(place).starts(with: text.utf8)
        }
        if head.starts(with: [0xff, 0xd8, 0xff]) {
            self = .jpeg
        } else if head.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) {
            self = .png
        } else if has("GIF87a") || has("GIF89a") {
            self = .gif
        } else if head.starts(with: [0x49, 0x49, 0x2a, 0])
            || head.starts(with: [0x4d, 0x4d, 0, 0x2a])
        {
            self = .tiff
        } else if has("RIFF"), has("WEBP", at: 8) {
            self = .webp
        } else if has("ftyp", at: 4) {
            // The brand of an ISO base media file (ISO/IEC 14496-12 §4.3).
            if ["avif", "avis"].contains(where: { has($0, at: 8) }) {
                self = .avif
            } else if ["heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"].contains(where: {
                has($0, at: 8)
            }) {
                self = .heif
            } else {
                return nil
            }
        } else {
            return nil
        }
    }

    /// Of a file; `nil` also for one that can't be read.
    init?(file path: String) {
        guard let head = BlobFolder.head(ofFile: path, count: Self.headBytes) else { return nil }
        self.init(head)
    }
}
