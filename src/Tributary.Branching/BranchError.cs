using System.Diagnostics.CodeAnalysis;

namespace Tributary.Branching;

public enum BranchErrorKind
{
    InvalidName,
    NotFound,
    AlreadyExists,

    /// <summary>Main has not caught up yet, or no seed is ready.</summary>
    NotReady,
    LimitReached,

    /// <summary>What was asked for cannot be, whatever the state.</summary>
    InvalidRequest,

    /// <summary>A person has protected the branch against this.</summary>
    Protected,
    PoolFull,
    StorageFailed,

    /// <summary>The catalog cannot be read, or knows less than the pool; it can be rebuilt.</summary>
    CatalogDamaged,

    /// <summary>Production cannot be reached or lacks what following needs.</summary>
    SourceUnsuitable,
    ComputeFailed,
}

/// <summary>An expected failure: the message says what failed, on what, and what to do.</summary>
public sealed record BranchError(BranchErrorKind Kind, string Message)
{
    /// <summary>What storage or a program on it has refused; a server that found no space says so in its log, whose end is in the message.</summary>
    internal static BranchError OfStorage(Exception exception) =>
        exception is StorageException { IsFull: true } || exception.Message.Contains("No space left on device", StringComparison.Ordinal)
            ? OfFullPool(exception)
            : new(BranchErrorKind.StorageFailed, exception.Message);

    /// <summary>What could not be done for want of space.</summary>
    internal static BranchError OfFullPool(Exception exception) =>
        new(BranchErrorKind.PoolFull, $"The pool is full: {exception.Message} Delete branches, or enlarge branching.pool-size.");
}

/// <summary>A value or an expected failure.</summary>
public readonly record struct BranchResult<T>(T? Value, BranchError? Error)
    where T : class
{
    [MemberNotNullWhen(true, nameof(Value))]
    [MemberNotNullWhen(false, nameof(Error))]
    public bool Succeeded => Error is null;

    public static implicit operator BranchResult<T>(T value) => new(value, null);

    public static implicit operator BranchResult<T>(BranchError error) => new(null, error);
}
