-- When an order passed each hop, as far as this service is told: written with its status, in the same update.
alter table orders
    add column request_published_at timestamptz, -- by the broker's clock
    add column decided_at           timestamptz, -- by the payments database's clock
    add column status_published_at  timestamptz; -- by the broker's clock
