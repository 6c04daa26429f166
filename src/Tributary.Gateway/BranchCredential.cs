namespace Tributary.Gateway;

/// <summary>What a client must know to enter a branch.</summary>
/// <param name="Password">The branch's own password; production's password hashes are never used.</param>
/// <param name="Version">Changes with the password, so that derived keys can be cached.</param>
public sealed record BranchCredential(string Branch, string Password, string Version);
