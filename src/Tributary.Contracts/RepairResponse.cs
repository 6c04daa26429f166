namespace Tributary.Contracts;

/// <summary>What a repair of a stopped server's state has done.</summary>
/// <param name="Rebuilt">The catalog is a new one; else the old one was whole.</param>
/// <param name="SetAside">Where the damaged catalog lies now; absent when there was none.</param>
/// <param name="Branches">The names of the branches that can be used again.</param>
/// <param name="Seeds">How many seeds there are.</param>
/// <param name="LeftOut">What was known of but is not there.</param>
/// <param name="KeptAside">Folders of the pool with data that nothing tells of; they are a person's to look at and remove.</param>
/// <param name="Ended">What a killed server had left and has been ended.</param>
public sealed record RepairResponse(
    bool Rebuilt, string? SetAside, IReadOnlyList<string> Branches, int Seeds, IReadOnlyList<RepairLoss> LeftOut, IReadOnlyList<string> KeptAside,
    IReadOnlyList<string> Ended);

/// <param name="What">A branch, a seed or a file.</param>
public sealed record RepairLoss(string What, string Reason);
