/// What a part of the programme is.
public enum ItemKind: String, Sendable, CaseIterable {
    case panel, ceremony, visit, cultural
}

/// Where a part of the programme stands.
public enum ItemStatus: String, Sendable, CaseIterable {
    case planned, cancelled, done
}

/// What an observation says of a person.
public enum ObservationKind: String, Sendable, CaseIterable {
    case `in`, out, absent, excused
    /// Takes back the observation that it names, and says nothing else.
    case void
}

/// How an observation came about.
public enum ObservationMethod: String, Sendable, CaseIterable {
    case badge, search
    case rollCall = "roll call"
    case paper
    /// A void that came of a decision on a conflict: another decision may take it back.
    case decision
}
