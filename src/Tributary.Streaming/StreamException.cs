namespace Tributary.Streaming;

public enum StreamErrorKind
{
    /// <summary>An option or a right is wrong; nothing was changed.</summary>
    Configuration,

    /// <summary>The source refused, or sent what cannot be.</summary>
    Source,

    /// <summary>The target refused.</summary>
    Target,

    /// <summary>The slot does not hold what follows the saved position: going on would lose changes.</summary>
    Gap,

    /// <summary>Another instance runs the same stream.</summary>
    Fenced,

    /// <summary>A table's shape differs between source and target.</summary>
    Schema,

    /// <summary>A row that the target cannot take.</summary>
    Data,

    /// <summary>A stated bound was exceeded.</summary>
    Limit,

    /// <summary>The folder for large transactions is broken or in use by another process.</summary>
    Spool,

    /// <summary>The folder for large transactions has reached its bound, or its disk has no room.</summary>
    SpoolFull,
}

/// <summary>
/// A stream cannot go on, and a new attempt would fail alike. The message says what failed, on what, and what to do;
/// it holds no cell value and no password.
/// </summary>
public sealed class StreamException(StreamErrorKind kind, string message, Exception? innerException = null) : Exception(message, innerException)
{
    public StreamErrorKind Kind { get; } = kind;

    /// <summary>What has happened, for whoever has another way out of it than the message tells; null where the message is all there is.</summary>
    public string? Cause { get; init; }
}
