using Npgsql;
using Tributary.Streaming.Checkpoints;
using Tributary.Streaming.Copying;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Hosting;

/// <summary>
/// Makes what a stream needs besides its slot, so that a privileged role can do it before an unprivileged one runs the stream. No slot: it would
/// keep the source's log until the stream starts, and the snapshot that it exports ends with this session, so the copy could not use it.
/// It may be called again.
/// </summary>
public static class StreamSetup
{
    /// <returns>What is there now, a phrase each, in the order in which it was made.</returns>
    /// <exception cref="StreamException">Kind Configuration, Source or Target: a side refuses. Kind Fenced: the stream runs.</exception>
    public static async Task<IReadOnlyList<string>> PrepareAsync(StreamOptions options, CancellationToken cancellationToken)
    {
        var side = StreamErrorKind.Target;
        try
        {
            var made = new List<string>();
            // The target first: it says whether the stream is new, and an unsuitable one leaves the source untouched.
            var isNew = options.Stdout is { } stdout ? PrepareCheckpoint(options, stdout, made) : await PrepareTargetAsync(options, made, cancellationToken);
            side = StreamErrorKind.Source;
            await PrepareSourceAsync(options, isNew, made, cancellationToken);
            return made;
        }
        catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
        {
            var place = side == StreamErrorKind.Source ? $"source {options.Source}" : $"target {options.TargetName}";
            throw new StreamException(side, $"The stream '{options.Name}' could not be prepared at the {place}: {LostLink.Describe(exception)}", exception);
        }
    }

    static bool PrepareCheckpoint(StreamOptions options, StdoutOptions stdout, List<string> made)
    {
        using var checkpoints = new CheckpointFile(stdout.CheckpointFile, options.Name);
        var isNew = checkpoints.Open() is null;
        made.Add($"the folder of the checkpoint {stdout.CheckpointFile}");
        return isNew;
    }

    static async Task<bool> PrepareTargetAsync(StreamOptions options, List<string> made, CancellationToken cancellationToken)
    {
        await using var target = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, "tributary init"), cancellationToken);
        await ProgressTable.CreateAsync(target, cancellationToken);
        made.Add($"the schema tributary at {options.Target}");
        return await ProgressTable.SlotNameAsync(target, options.Name, cancellationToken) is null;
    }

    static async Task PrepareSourceAsync(StreamOptions options, bool isNew, List<string> made, CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, "tributary init"), cancellationToken);
        if (isNew)
            await SourceSlot.RefuseOthersAsync(source, options, cancellationToken);
        await Publication.EnsureAsync(source, options, cancellationToken);
        made.Add($"the publication {options.PublicationName} at {options.Source}");
    }
}
