using System.Diagnostics.CodeAnalysis;

namespace Tributary.Contracts.Client;

/// <summary>What the server answered, or why it refused.</summary>
public readonly record struct ApiResult<T>(T? Value, ProblemResponse? Problem)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Value))]
    [MemberNotNullWhen(false, nameof(Problem))]
    public bool Succeeded => Problem is null;
}
