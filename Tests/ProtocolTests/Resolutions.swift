import Causality
import Merge
import ReplicaStore
import SyncProtocol

extension Kind {
    static let resolutions = Kind(
        name: "resolutions", answer: { try ResolutionKind.answer($0, $1) },
        vectors: { try WriteVectors.vectors() + StoryVectors.vectors() })
}

private enum ResolutionKind {
    static func answer(_ given: JSON, _ when: JSON) throws -> JSON {
        if let steps = try when["steps"]?.items() { return try Story(given).tell(steps) }
        let operations = try AuthorWrite.operations(
            when, on: try given.member("live").rowState(), stream: nil
        ) { try $0.dot() }
        return ["ops": .operations(sorting: operations)]
    }
}

/// A write of an author, decided on what the author's replica holds.
enum AuthorWrite {
    static func operations(
        _ json: JSON, on state: RowState, stream: StreamID?, dot: (JSON) throws -> Dot
    ) throws -> [Operation] {
        let life = LifeFold(state)
        switch try json.string("do") {
        case "delete": return state.cells.isEmpty || life.isHidden ? [] : [state.delete()]
        case "restore": return state.restore().map { [$0] } ?? []
        default: break
        }
        let key = CellKey(
            try json.number("column"), element: try json.optional("element") { try $0.hex() } ?? [])
        let policy = try json.optional("policy") { try $0.policy() } ?? .latest
        let basis = try json.optional("basis") { try $0.items().map(dot) }
        switch try json.string("do") {
        case "put":
            return state.put(
                key, try json.member("value").value(),
                basis: basis ?? state.basis(of: key, policy: policy),
                isDeleteShown: try json.optional("deleteShown") { try $0.bool() } ?? true)
        case "add":
            return AddWinsSet.holds(state[key])
                ? [] : state.put(key, .null, basis: state.basis(of: key))
        case "remove": return state.remove(key, basis: state.basis(of: key))
        case "count":
            let own = try json.optional("stream") { try $0.stream() } ?? stream
            guard let own else { throw VectorError("a count without a stream") }
            return state.count(key, by: try json.number("by"), stream: own) ?? []
        case "resolve":
            let fold = RegisterFold(state[key], policy: policy)
            return [
                state.resolve(key, try json.member("value").value(), basis: basis ?? fold.allDots)
            ]
        case "undo":
            return state.undo(resolution: try dot(try json.member("dot")), in: key).map { [$0] }
                ?? []
        default: throw VectorError("an unknown write: \(json.document)")
        }
    }
}

/// Replicas that hold one row, write, and meet.
private struct Story {
    private let place: RowStates.Place
    private let streams: [StreamID]
    private let columns: [ColumnForm]
    private var replicas: [Replica]
    private var changesets: [Changeset] = []
    /// The dot of the changeset that a step wrote.
    private var written: [Int: Dot] = [:]

    private struct Replica {
        var states = RowStates()
        /// How many of `changesets` are held, by their places.
        var held: Set<Int> = []
    }

    init(_ given: JSON) throws {
        place = RowStates.Place(
            table: try given.number("table"), row: try given.member("row").row())
        streams = try given.items("streams").map { try $0.stream() }
        columns = try given.items("columns").map { try ColumnForm($0) }
        replicas = streams.map { _ in Replica() }
    }

    func tell(_ steps: [JSON]) throws -> JSON {
        var story = self
        for (number, step) in steps.enumerated() { try story.take(step, number) }
        let wrote = story.written.sorted { $0.key < $1.key }.compactMap { number, dot -> JSON? in
            guard let changeset = story.changesets.first(where: { $0.dot == dot }) else {
                return nil
            }
            return [
                "step": .number(number), "dot": .dot(dot),
                "ops": .operations(sorting: changeset.rows[0].operations),
            ]
        }
        return [
            "wrote": .array(wrote), "replicas": .array(story.replicas.map(story.end)),
        ]
    }

    private mutating func take(_ step: JSON, _ number: Int) throws {
        if step["meet"] != nil {
            for replica in replicas.indices { receive(Set(changesets.indices), at: replica) }
            return
        }
        let replica: Int = try step.number("at")
        guard replicas.indices.contains(replica) else { throw VectorError("no such replica") }
        if let source = try step.optional("from", { try $0.number(as: Int.self) }) {
            guard replicas.indices.contains(source) else { throw VectorError("no such replica") }
            return receive(replicas[source].held, at: replica)
        }
        let state = replicas[replica].states[place]
        var operations: [Operation] = []
        for write in try step.items("write") {
            let next = try AuthorWrite.operations(
                write, on: state, stream: streams[replica], dot: dot)
            operations += next.filter { operation in
                operation.cell != .life || !operations.contains { $0.cell == .life }
            }
        }
        guard !operations.isEmpty else { return }
        guard Set(operations.map(\.cell)).count == operations.count else {
            throw VectorError("two ops of a cell in one changeset")
        }
        let seq = UInt64(changesets.count { $0.dot.stream == streams[replica] }) + 1
        let changeset = Changeset(
            dot: Dot(streams[replica], seq), time: try step.member("time").time(),
            rows: [RowChange(table: place.table, row: place.row, operations: operations)])
        written[number] = changeset.dot
        changesets.append(changeset)
        receive([changesets.count - 1], at: replica)
    }

    private func dot(_ json: JSON) throws -> Dot {
        guard let step = json["step"] else { return try json.dot() }
        guard let dot = written[try step.number()] else {
            throw VectorError("step \(step.document) wrote nothing")
        }
        return dot
    }

    /// In the order in which they were written, which is a causal one.
    private mutating func receive(_ more: Set<Int>, at replica: Int) {
        for index in more.sorted() where replicas[replica].held.insert(index).inserted {
            replicas[replica].states.deliver(changesets[index])
        }
    }

    private func end(of replica: Replica) -> JSON {
        let state = replica.states[place]
        let life = LifeFold(state)
        return [
            "hidden": .bool(life.isHidden),
            "shown": life.isHidden || state.cells.isEmpty ? [] : shown(state),
            "open": FoldKind.open(state, place, columns),
            "stateHash": .hash(replica.states.hash),
        ]
    }

    private func shown(_ state: RowState) -> JSON {
        let entries = columns.sorted { $0.column < $1.column }.compactMap { column -> JSON? in
            switch column.shape {
            case "set":
                return entry(column, "elements", FoldKind.elements(state, column.column))
            case "counter":
                guard let total = FoldKind.total(state, column.column) else { return nil }
                return entry(column, "value", .value(.integer(total)))
            default:
                let shown = RegisterFold(state[column.key], policy: column.policy).shown
                guard let value = shown?.action.value else { return nil }
                return entry(column, "value", .value(value))
            }
        }
        return .array(entries)
    }

    private func entry(_ column: ColumnForm, _ name: String, _ value: JSON) -> JSON {
        .object([JSON.Member("column", .number(column.column)), JSON.Member(name, value)])
    }
}
