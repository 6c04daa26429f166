namespace Tributary.Streaming.Copying;

/// <summary>
/// A table was emptied, rewritten or put in another's place after the copy's snapshot and before its rows were read. Like a lost link, it ends the
/// attempt and not the stream.
/// </summary>
internal sealed class SnapshotRowsGoneException(CopyTable table) : IOException(
    $"Table {table.Name} was emptied, rewritten or replaced before its rows were copied, so they are gone as of the copy's beginning; all is copied anew, this table first.");
