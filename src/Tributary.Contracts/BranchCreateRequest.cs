namespace Tributary.Contracts;

/// <summary>Asks for a branch.</summary>
public sealed record BranchCreateRequest
{
    /// <summary>A DNS label; when it is absent the server makes a name such as <c>calm-otter-4821</c>.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// Take the newest seed, which is cheaper and as old as that seed. Otherwise the branch is as of now: it holds every transaction that
    /// production had acknowledged before the request.
    /// </summary>
    public bool FromSeed { get; init; }

    /// <summary>
    /// Any text of at most 128 characters. A second request with the same key answers the branch that the first one made, so that a client
    /// may repeat a request whose answer it lost, also after the server has started anew.
    /// </summary>
    public string? IdempotencyKey { get; init; }
}
