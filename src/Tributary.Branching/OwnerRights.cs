namespace Tributary.Branching;

/// <summary>What a branch's owner role may do.</summary>
public enum OwnerRights
{
    /// <summary>Everything.</summary>
    Superuser,

    /// <summary>What an application and its migrations need: it owns what there is, reads and writes all rows, and cannot become a superuser.</summary>
    Application,
}
