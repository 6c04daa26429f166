namespace Tributary.Contracts;

/// <summary>What a removal took away, a sentence each, in the order in which it did.</summary>
public sealed record RemovalResponse(IReadOnlyList<string> Removed);
