namespace Tributary.Branching;

/// <summary>What a repair has done.</summary>
/// <param name="SetAside">Where the damaged catalog lies now; null when there was none, or it was whole.</param>
/// <param name="Rebuilt">The catalog is a new one.</param>
/// <param name="Branches">Those that clients can use again, by age.</param>
/// <param name="LeftOut">What is known of but not there, each with the reason.</param>
/// <param name="KeptAside">Folders with volumes that no record tells of.</param>
/// <param name="Ended">Processes and devices of a server that ended before.</param>
public sealed record CatalogRepairReport(
    bool Rebuilt, string? SetAside, IReadOnlyList<string> Branches, int Seeds, IReadOnlyList<LeftOut> LeftOut, IReadOnlyList<string> KeptAside,
    IReadOnlyList<string> Ended);

/// <param name="What">A branch, a seed or a file.</param>
public sealed record LeftOut(string What, string Reason);
