internal import CPNG
internal import CQREncode

/// A QR code (ISO/IEC 18004), by libqrencode.
public struct QRCode: Sendable {
    /// Modules on each side, without the quiet zone.
    public let size: Int
    /// Row by row from the top.
    private let isDark: [Bool]

    /// Light modules around the code, as the standard asks for.
    public static let quietZone = 4

    /// Codes the UTF-8 bytes of a text so that 15 % of the modules may be damaged (level M).
    ///
    /// - Returns: `nil` for no text, for one that no code can hold: of more than 2,331 bytes, and where
    ///   libqrencode isn't installed.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty,
            let code = karvan_qr_encode(Int32(bytes.count), bytes)
        else { return nil }
        defer { karvan_qr_free(code) }
        size = Int(code.pointee.width)
        let modules = UnsafeBufferPointer(start: code.pointee.data, count: size * size)
        // The lowest bit is the colour; the others say what the module is for.
        isDark = modules.map { $0 & 1 == 1 }
    }

    /// - Parameters:
    ///   - x: from the left, less than 0 and ``size`` or more in the quiet zone.
    ///   - y: from the top.
    public func isDark(_ x: Int, _ y: Int) -> Bool {
        (0..<size).contains(x) && (0..<size).contains(y) && isDark[y * size + x]
    }

    private var places: Range<Int> { -Self.quietZone..<size + Self.quietZone }

    // MARK: In a terminal

    /// The code with its quiet zone as lines of text, two rows of modules in each: ``size`` and twice
    /// ``quietZone`` characters wide.
    ///
    /// - Parameter isColoured: black on white by ECMA-48 colours, whatever the terminal's are; else
    ///   light modules are drawn, for terminals of light text on a dark ground.
    public func lines(isColoured: Bool) -> [String] {
        stride(from: places.lowerBound, to: places.upperBound, by: 2).map { y in
            let line = String(
                places.map { x in
                    // Below the last row there is nothing to draw.
                    let isLast = y + 1 == places.upperBound
                    let isUpper = isDark(x, y) == isColoured
                    let isLower = !isLast && isDark(x, y + 1) == isColoured
                    return Self.block(isUpper, isLower)
                })
            return isColoured ? "\u{1B}[30;107m\(line)\u{1B}[0m" : line
        }
    }

    private static func block(_ isUpper: Bool, _ isLower: Bool) -> Character {
        switch (isUpper, isLower) {
        case (true, true): "█"
        case (true, false): "▀"
        case (false, true): "▄"
        case (false, false): " "
        }
    }

    // MARK: As a picture

    /// A PNG file (ISO/IEC 15948) of the code with its quiet zone, by libpng.
    ///
    /// - Parameter scale: pixels for a module, on each side: 1...64.
    public func png(scale: Int = 8) -> [UInt8] {
        precondition((1...64).contains(scale), "a module has 1 to 64 pixels on each side")
        var pixels: [UInt8] = []
        for y in places {
            let row = places.flatMap { x in
                [UInt8](repeating: isDark(x, y) ? 0 : 255, count: scale)
            }
            for _ in 0..<scale { pixels += row }
        }
        let width = UInt32(places.count * scale)
        var file = [UInt8](repeating: 0, count: karvan_png_write(pixels, width, nil, 0))
        let count = karvan_png_write(pixels, width, &file, file.count)
        precondition(count > 0, "libpng is missing, or had no memory")
        return Array(file.prefix(count))
    }

    // MARK: On a page

    /// A picture of the code with its quiet zone as SVG, one unit for each module.
    ///
    /// - Parameter millimetres: on each side.
    public func svg(millimetres: Int) -> String {
        let (first, count) = (places.lowerBound, places.count)
        var path = ""
        for y in 0..<size {
            var x = 0
            while x < size {
                guard isDark(x, y) else {
                    x += 1
                    continue
                }
                let start = x
                while isDark(x, y) { x += 1 }
                path += "M\(start) \(y)h\(x - start)v1h-\(x - start)z"
            }
        }
        return
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(millimetres)mm\" height=\"\(millimetres)mm\" "
            + "viewBox=\"\(first) \(first) \(count) \(count)\" shape-rendering=\"crispEdges\">"
            + "<rect x=\"\(first)\" y=\"\(first)\" width=\"\(count)\" height=\"\(count)\" fill=\"#fff\"/>"
            + "<path d=\"\(path)\"/></svg>"
    }
}
