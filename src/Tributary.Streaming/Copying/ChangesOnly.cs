using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>For a target that takes changes but no copy: publishes the source's tables, and makes the slot whose position is where the changes begin.</summary>
internal sealed class ChangesOnly(StreamOptions options, ILogger logger) : IInitialCopy
{
    public async Task RefuseOthersAsync(CancellationToken cancellationToken)
    {
        await using var source = await OpenAsync(cancellationToken);
        await SourceSlot.RefuseOthersAsync(source, options, cancellationToken);
        await Publication.EnsureAsync(source, options, cancellationToken);
    }

    public async Task<Lsn> RunAsync(Checkpoint copying, ICopyProgress progress, CancellationToken cancellationToken)
    {
        await using var source = await OpenAsync(cancellationToken);
        // The publication before the slot, since one that is younger than a change does not cover it.
        await Publication.EnsureAsync(source, options, cancellationToken);
        // A slot that is left from an unfinished start has sent nothing yet.
        await SourceSlot.DropAsync(source, options.SlotName, cancellationToken);
        var position = await SourceSlot.CreateAsync(source, options.SlotName, cancellationToken);
        progress.Finished();
        Log.ChangesOnly(logger, options.Name, position);
        return position;
    }

    Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken) =>
        SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} start"), cancellationToken);
}
