using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>
/// Main: the server in the pool that all branches descend from. How its data comes to it is its own affair; whoever makes seeds, spares and
/// cuts of it sees this.
/// </summary>
internal interface IMain : IAsyncDisposable
{
    /// <summary>What keeps it from its source's present, and is tried again; null when nothing does.</summary>
    string? Problem { get; }

    /// <summary>Makes main's data once. What an interrupted try has left is replaced.</summary>
    /// <param name="isRepeated">An earlier try of this state folder was interrupted.</param>
    /// <param name="onBegin">Called before anything is made.</param>
    /// <param name="onPercent">Called with the progress in percent, where there is something to copy.</param>
    /// <exception cref="ChildProcessException">It failed; the message holds the program's last words.</exception>
    Task MakeAsync(bool isRepeated, Action onBegin, Action<double> onPercent, CancellationToken cancellationToken);

    /// <summary>Starts it on the data that is there, and waits until it accepts queries.</summary>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Keeps it running until cancelled.</summary>
    Task RunAsync(CancellationToken cancellationToken);

    /// <summary>Watches until its data must be made anew, and answers why.</summary>
    Task<string> WatchAsync(CancellationToken cancellationToken);

    /// <summary>Where it is.</summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    Task<MainPosition> PositionAsync(CancellationToken cancellationToken);

    /// <summary>Waits until it is at a position; false when that takes too long.</summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>
    /// Where main's own log, which is what spares replay, holds a position of the source. Waits until main is there; null when that takes too
    /// long.
    /// </summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    Task<Lsn?> InOwnLogAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Answers where main was when a copy of it was cut, and removes from the copy what main alone needs.</summary>
    /// <param name="copy">A session of the superuser on the copy, which is a primary by now.</param>
    /// <exception cref="NpgsqlException">The copy does not answer.</exception>
    Task<Lsn> SeparateAsync(NpgsqlConnection copy, CancellationToken cancellationToken);

    /// <summary>Where the replay of a clone would begin: its last checkpoint or restart point.</summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    Task<Lsn> RestartPointAsync(CancellationToken cancellationToken);

    /// <summary>Clones its data as of one moment, at or after what <see cref="PositionAsync"/> has answered before.</summary>
    Task CloneAsync(string copy, CancellationToken cancellationToken);

    /// <summary>Stops it in order. It can be started again.</summary>
    Task StopAsync();

    /// <summary>Lets production keep no log for it any more; it is stopped, and is to be made anew.</summary>
    /// <exception cref="Npgsql.NpgsqlException">Production does not answer.</exception>
    Task GiveUpAsync(CancellationToken cancellationToken);

    /// <summary>A position before which all lies that main's source had acknowledged at the question.</summary>
    /// <exception cref="BranchingException">The source does not answer.</exception>
    Task<MomentOfSource> AcknowledgedAsync(CancellationToken cancellationToken);

    /// <summary>What the source has flushed, which is all that main can get.</summary>
    /// <exception cref="BranchingException">The source does not answer.</exception>
    Task<MomentOfSource> FlushedAsync(CancellationToken cancellationToken);
}
