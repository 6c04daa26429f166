namespace Tributary.Streaming;

/// <summary>Keeps the checkpoint of a target that cannot keep it itself. Calls are made one at a time; disposal lets another instance in.</summary>
internal interface ICheckpointStore : IDisposable
{
    /// <summary>Shuts out every other instance, and answers what was saved with its epoch raised; null when the stream never ran.</summary>
    /// <exception cref="StreamException">Kind Fenced: another instance runs. Kind Target: what was saved cannot be read.</exception>
    Checkpoint? Open();

    /// <summary>Makes the checkpoint durable in the place of the one before it: after a crash either of the two is there, and whole.</summary>
    /// <exception cref="StreamException">Kind Target: it cannot be written.</exception>
    void Save(Checkpoint checkpoint);
}
