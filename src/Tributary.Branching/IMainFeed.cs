using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>
/// What brings production's rows and changes of the schema into a main that is no standby. Branching calls it; who composes the program puts a
/// stream behind it. In main's database it keeps a row in the table <c>tributary.progress</c>, with the name <see cref="Name"/> in the column
/// <c>pipeline</c> and production's position in <c>commit_end_lsn</c>, written in the transaction that brings what lies before that position.
/// </summary>
public interface IMainFeed
{
    /// <summary>Names the row.</summary>
    const string Name = "main";

    /// <summary>How far it is; safe from any thread.</summary>
    MainFeedStatus Status { get; }

    /// <summary>
    /// Runs until cancelled, which is no error: brings the rows that exist when main has none, then every change, exactly once. It reconnects
    /// by itself.
    /// </summary>
    /// <param name="main">Main's database, which exists.</param>
    /// <exception cref="MainFeedException">It cannot go on.</exception>
    Task RunAsync(PostgresUrl main, CancellationToken cancellationToken);
}

/// <param name="HoldsExistingRows">The first copy is complete.</param>
/// <param name="CopiedPercent">How far that is.</param>
/// <param name="LastError">Why it brings nothing now; null while it does.</param>
public sealed record MainFeedStatus(bool HoldsExistingRows, double CopiedPercent, string? LastError);

/// <summary>A feed cannot go on. The message says what failed, on what, and what to do.</summary>
/// <param name="isGap">Production has not kept what comes next, so that main has to be made anew.</param>
public sealed class MainFeedException(string message, bool isGap, Exception? innerException = null) : Exception(message, innerException)
{
    public bool IsGap { get; } = isGap;
}
